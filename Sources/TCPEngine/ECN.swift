package import TCPWire

/// What a connection knows of Explicit Congestion Notification.
package struct ECN {
    /// How each end tells the other of marks.
    package enum Feedback: UInt8 {
        case none
        /// RFC 3168: ECE, until CWR answers it.
        case classic
        /// RFC 9768: a counter in the header of every segment, and counters of octets in an option.
        case accurate
    }

    package struct Marks: OptionSet {
        package var rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// A SYN or SYN-ACK without ECN was sent or came: nothing leaves as ECN-capable (RFC 3168 §6.1.1).
        static let sendsPlain = Marks(rawValue: 1)
        /// A mark came, and CWR has not: every acknowledgment has ECE (RFC 3168 §6.1.3).
        static let echo = Marks(rawValue: 2)
        /// The window came down, and the peer is to hear of it (RFC 3168 §6.1.2).
        static let reducedDue = Marks(rawValue: 4)
        /// The window came down for what lies before `point`.
        static let answered = Marks(rawValue: 8)
        /// A model of the path is to hear of marks with this acknowledgment.
        static let marked = Marks(rawValue: 16)
        /// Something came that was sent as ECN-capable.
        static let seen = Marks(rawValue: 32)
        // Of accurate ECN.
        /// The field of the SYN-ACK is to be told (RFC 9768 §3.2.2.1).
        static let handshakeDue = Marks(rawValue: 64)
        /// The handshake told of a mark, which is to be answered.
        static let handshakeMarked = Marks(rawValue: 128)
        /// The last packet that came was marked.
        static let lastMarked = Marks(rawValue: 256)
        /// The peer's first counter was looked at.
        static let checked = Marks(rawValue: 512)
        /// The peer's counters mean nothing.
        static let ignoresFeedback = Marks(rawValue: 1024)
        static let ignoresOptions = Marks(rawValue: 2048)
        /// The peer's counter of packets has ever changed.
        static let everMarked = Marks(rawValue: 4096)
        /// No option is sent: one may have been lost for being there.
        static let withoutOptions = Marks(rawValue: 8192)
        /// The first data has an option, whether that has news or not.
        static let tellsOctets = Marks(rawValue: 16384)
        /// The acknowledgment at hand tells of marks: no window grows by it (RFC 3168 §6.1.2).
        static let heard = Marks(rawValue: 32768)
    }

    /// What the program wants.
    package var wanted = ExplicitCongestion.off
    /// What the handshake agreed on.
    package var feedback = Feedback.none
    package var marks: Marks = []
    /// SND.NXT when the window last came down: one reduction is enough for a window of data (RFC 3168 §6.1.2).
    package var point = SequenceNumber(0)
    // RFC 9768 §3.2.1. The low bits of r.cep, and what of it left last; of s.cep as the peer has it.
    package var received: UInt8 = 5
    package var told: UInt8 = 5
    package var known: UInt8 = 5
    /// The field of the latest SYN or SYN-ACK.
    package var arrivedAs = ECNCodepoint.notCapable
    /// How many segments an acknowledgment covers on average, times eight.
    package var thinning: UInt8 = 0

    package init() {}

    /// RFC 3168 §6.1.1, RFC 9768 §3.1.2: what an end that wants `wanted` agrees to when it gets this SYN. One of RFC 3168 that
    /// arrives as ECN-capable, which none is, tells of a path that rewrites the field: its marks would mean nothing.
    package static func answer(
        to syn: TCPFlags, arrivedAs codepoint: ECNCodepoint, wanted: ExplicitCongestion
    ) -> Feedback {
        let flags = syn.intersection([.ae, .cwr, .ece])
        // RFC 9768 §3.1.3: what is not known yet asks for it as well.
        if wanted == .accurate, flags != [], flags != [.ece, .cwr] { return .accurate }
        guard wanted != .off, flags.contains([.ece, .cwr]) else { return .none }
        return codepoint == .notCapable || syn.contains(.ae) ? .classic : .none
    }

    /// What a SYN-ACK says for it, the SYN having come with that field.
    package static func synAckFlags(_ feedback: Feedback, arrivedAs codepoint: ECNCodepoint) -> TCPFlags {
        switch feedback {
        case .none: []
        case .classic: .ece
        case .accurate: handshakeFlags(codepoint)
        }
    }
}

// Explicit Congestion Notification (RFC 3168): routers mark packets instead of dropping them, the receiver tells the sender,
// and the sender slows down as if something had been lost.
//
// RFC 8311 lets experiments mark more than new data as ECN-capable; none is made here, so that §6.1.1, §6.1.4, §6.1.5 and
// §6.1.6 hold as they stand.
extension Connection {
    /// Whether new data leaves as ECN-capable: both ends have agreed, and no path is known to break it.
    package var isECNCapable: Bool { ecn.feedback != .none && !ecn.marks.contains(.sendsPlain) }

    /// Whether something ECN-capable has come.
    package var hasSeenECN: Bool { ecn.marks.contains(.seen) }

    // MARK: Handshake

    /// The flags of a SYN. RFC 3168 §6.1.1.1: one that goes unanswered may have been dropped for them, and goes again without;
    /// RFC 9768 §3.1.4.1: the second time.
    mutating func ecnFlagsOfSyn(isFirst: Bool) -> TCPFlags {
        let isAccurate = ecn.wanted == .accurate
        guard ecn.wanted != .off else { return [] }
        if isFirst || isAccurate && rtt.expirations <= 1 { return isAccurate ? [.ae, .ece, .cwr] : [.ece, .cwr] }
        ecn.marks.insert(.sendsPlain)
        return []
    }

    /// The flags of a SYN-ACK of SYNs that crossed, or of a Fast Open. RFC 9768 §3.2.3.2.2: the second that goes again is plain.
    mutating func ecnFlagsOfSynAck() -> TCPFlags {
        guard ecn.feedback != .accurate || rtt.expirations < 2 else {
            ecn.marks.insert(.sendsPlain)
            return []
        }
        return ECN.synAckFlags(ecn.feedback, arrivedAs: ecn.arrivedAs)
    }

    /// RFC 3168 §6.1.1: a SYN-ACK with ECE alone agrees; with CWR as well it reflects what it got, and agrees to nothing.
    mutating func agreeOnECN(synAck flags: TCPFlags, _ context: borrowing Context) {
        if ecn.wanted == .accurate {
            agreeOnAccurateECN(synAck: flags, context)
            return
        }
        guard ecn.wanted != .off, flags.contains(.ece), !flags.contains(.cwr) else { return }
        ecn.feedback = .classic
    }

    /// The peer's SYN, where no SYN-ACK is what answered ours: SYNs that crossed, or a Fast Open.
    mutating func agreeOnECN(syn flags: TCPFlags, _ context: borrowing Context) {
        ecn.feedback = ECN.answer(to: flags, arrivedAs: context.codepoint, wanted: ecn.wanted)
        ecn.arrivedAs = context.codepoint
        if ecn.feedback == .accurate { ecn.marks.insert(.tellsOctets) }
    }

    /// What a half-open entry, or a cookie, has kept of it.
    package mutating func resumeECN(_ feedback: ECN.Feedback, arrivedAs codepoint: ECNCodepoint, sendsPlain: Bool) {
        ecn.feedback = feedback
        ecn.arrivedAs = codepoint
        if sendsPlain { ecn.marks.insert(.sendsPlain) }
        if feedback == .accurate { ecn.marks.insert(.tellsOctets) }
    }

    // MARK: Receiver

    /// An acceptable segment with `length` octets of text came, of that many in one (RFC 3168 §6.1.3).
    mutating func noteCodepoint(_ header: TCPHeader, length: Int, segments: Int, _ context: inout Context) {
        guard ecn.feedback != .none else { return }
        if context.codepoint != .notCapable { ecn.marks.insert(.seen) }
        if ecn.feedback == .accurate {
            countCodepoint(length: length, segments: segments, &context)
            return
        }
        guard length > 0 else { return }
        if header.flags.contains(.cwr) {
            ecn.marks.remove(.echo)
            // A window that came down to a segment or two must not wait for company.
            flags.insert(.acknowledgeNow)
        }
        guard context.codepoint == .congestion else { return }
        context.marksReceived &+= 1
        if !ecn.marks.contains(.echo) { flags.insert(.acknowledgeNow) }
        ecn.marks.insert(.echo)
    }

    /// What a segment that acknowledges says of marks.
    mutating func ecnFlags(_ segment: OutgoingSegment) -> TCPFlags {
        switch ecn.feedback {
        case .none: []
        case .classic: ecn.marks.contains(.echo) ? .ece : []
        case .accurate: accurateFlags(segment)
        }
    }

    // MARK: Sender

    /// New data leaves: as ECN-capable, and with CWR if the window has come down since the last (RFC 3168 §6.1.2).
    mutating func markNewData(_ segment: inout OutgoingSegment, _ context: inout Context) {
        ecn.marks.remove(.tellsOctets)
        guard isECNCapable, isSynAcknowledged else { return }
        segment.codepoint = .capable0
        guard ecn.marks.contains(.reducedDue) else { return }
        ecn.marks.remove(.reducedDue)
        segment.flags.insert(.cwr)
        context.reductionsTold &+= 1
    }

    /// The window came down, for whatever reason: marks of what is in flight now are part of it.
    mutating func noteReduction() {
        guard isECNCapable || ecn.feedback == .accurate else { return }
        ecn.marks.insert(.answered)
        if ecn.feedback == .classic { ecn.marks.insert(.reducedDue) }
        ecn.point = send.next
    }

    /// An acknowledgment of `number` has ECE.
    mutating func noteEcho(_ number: SequenceNumber, _ context: inout Context) {
        guard isECNCapable, ecn.feedback == .classic, isSynAcknowledged else { return }
        context.echoesReceived &+= 1
        ecn.marks.insert(.heard)
        answerMarks(number, &context)
    }

    /// RFC 3168 §6.1.2: marks are answered as a loss is, once for a window of data; while losses are repaired the window has
    /// come down already. It is led down as in recovery (RFC 9937 §6), and new data goes on.
    mutating func answerMarks(_ number: SequenceNumber, _ context: inout Context) {
        if ecn.marks.contains(.answered), number <= ecn.point { return }
        guard hasSender, inFlight > 0, recovery.phase == .open || recovery.phase == .reduced else { return }
        context.reductionsByMarks &+= 1
        guard congestion.reducesByDelivery else {
            ecn.marks.insert(.marked)
            noteReduction()
            return
        }
        if recovery.phase == .reduced { endRecovery(&context) }
        // "The timer is reset, and the next packet leaves when it expires": said of a window of one segment, that cannot come
        // down. Here the least is two (RFC 5681 §3.1, equation 4).
        if Int(congestion.window) <= 2 &* segmentSize {
            paceAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        }
        dropUndo(&context)
        congestion.reduce(inFlight: inFlight, segmentSize: segmentSize, isECN: true, now: context.now)
        recovery.reduction.begin(flight: inFlight &- transmissions.sackedOctets)
        recovery.phase = .reduced
        recovery.startedAt = context.now
        noteReduction()
    }
}
