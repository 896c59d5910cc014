package import TCPWire

/// Octets that came with each ECN field (RFC 9768 §3.2): what the option tells, and what the peer's has told. Made by the
/// first that is ECN-capable; without memory for it only the counter of packets in the header is there.
package final class MarkedOctets {
    /// Bytes charged for one.
    package static let cost = 64

    // RFC 9768 §3.2.1: r.e0b, r.ceb and r.e1b, modulo 2²⁴ on the wire.
    private(set) var ect0: UInt32 = 1
    private(set) var congestion: UInt32 = 0
    private(set) var ect1: UInt32 = 1
    /// Which of them ever changed: a bit for each codepoint.
    private var changed: UInt8 = 0
    /// Whether one of them has since the last option.
    private(set) var isNew = false
    /// s.ceb: what the peer last said of CE.
    var told: UInt32 = 0

    init() {}

    func count(_ codepoint: ECNCodepoint, _ octets: Int) {
        let octets = UInt32(truncatingIfNeeded: octets)
        switch codepoint {
        case .notCapable: return
        case .capable0: ect0 &+= octets
        case .capable1: ect1 &+= octets
        case .congestion: congestion &+= octets
        }
        changed |= 1 &<< codepoint.rawValue
        isNew = true
    }

    /// An option has left.
    func noteSent() { isNew = false }

    /// RFC 9768 §3.2.3.3: every counter that has changed at some time, in the order that takes fewer fields.
    var option: AccurateECNOption {
        let hasMarks = changed & 1 &<< ECNCodepoint.congestion.rawValue != 0
        let (has0, has1) = (changed & 4 != 0, changed & 2 != 0)
        let beginsWithECT1 = has1 && !has0
        return AccurateECNOption(
            ect0: ect0, congestion: congestion, ect1: ect1, beginsWithECT1: beginsWithECT1,
            count: has0 && has1 ? 3 : hasMarks ? 2 : 1)
    }

    func fingerprint(into hash: inout Fingerprint) {
        hash.add(UInt64(ect0) | UInt64(ect1) &<< 32)
        hash.add(UInt64(congestion) | UInt64(told) &<< 32)
        hash.add(UInt64(changed) | (isNew ? 256 : 0))
    }
}

extension ECN {
    /// The counter in the header: AE, CWR and ECE, of which AE is the highest (RFC 9768 §3.2.2).
    static func counter(in flags: TCPFlags) -> UInt8 { UInt8(truncatingIfNeeded: flags.rawValue &>> 6 & 7) }

    static func flags(_ counter: UInt8) -> TCPFlags { TCPFlags(rawValue: UInt16(counter & 7) &<< 6) }

    /// RFC 9768 tables 2 and 3: how a handshake tells with which field a SYN or SYN-ACK came.
    package static func handshakeFlags(_ codepoint: ECNCodepoint) -> TCPFlags {
        switch codepoint {
        case .notCapable: flags(0b010)
        case .capable1: flags(0b011)
        case .capable0: flags(0b100)
        case .congestion: flags(0b110)
        }
    }

    /// The option of a SYN-ACK, or of a third segment: nothing is counted yet (RFC 9768 §3.2.1).
    package static let firstOption = AccurateECNOption(
        ect0: 1, congestion: 0, ect1: 1, beginsWithECT1: false, count: 3)
}

// Accurate ECN (RFC 9768): the receiver tells how many packets were marked, modulo eight in the header of every segment, and
// how many octets in an option.
extension Connection {
    // MARK: Handshake

    /// RFC 9768 §3.1.2, table 2: the SYN-ACK that answers a SYN which asked for it.
    mutating func agreeOnAccurateECN(synAck flags: TCPFlags, _ context: borrowing Context) {
        switch ECN.counter(in: flags) {
        // Not ECN-capable, or a host that reflects what it gets.
        case 0b000, 0b111: return
        case 0b001: ecn.feedback = .classic
        case let code:
            ecn.feedback = .accurate
            // §3.1.5: this end knows that the other is in the same mode, whatever SYNs it has sent.
            ecn.marks.remove(.sendsPlain)
            ecn.marks.formUnion([.handshakeDue, .tellsOctets])
            noteSynAck(context)
            if context.codepoint == .congestion { ecn.received &+= 1 }
            // §3.2.2.3: our SYN was sent as not ECN-capable; 101 stands for "as it was" (§3.1.3).
            guard code != 0b010, code != 0b101 else { return }
            ecn.marks.insert(.sendsPlain)
            if code == 0b110 { ecn.marks.insert(.handshakeMarked) }
        }
    }

    /// A SYN-ACK came, and its field is to be told: of the latest, if there are several (RFC 9768 §3.1.5, §3.2.2.1).
    mutating func noteSynAck(_ context: borrowing Context) {
        ecn.arrivedAs = context.codepoint
        ecn.marks.insert(.handshakeDue)
    }

    /// The SYN-ACK again, for its acknowledgment was lost: that of this one has the same encoding (RFC 9768 §3.2.2.1).
    mutating func noteLateSynAck(_ header: TCPHeader, _ context: borrowing Context) {
        guard ecn.feedback == .accurate, !flags.contains(.passive), header.flags.contains(.ack),
            header.sequence == receive.initial
        else { return }
        noteSynAck(context)
    }

    /// §3.2.2.1, table 4: the first acknowledgment that reaches an end in SYN-RECEIVED, if it has neither octets nor blocks.
    private mutating func takeThirdSegment(_ counter: UInt8) {
        switch counter {
        case 0b000: ecn.marks.formUnion([.sendsPlain, .ignoresFeedback])
        case 0b110:
            ecn.known = 6
            ecn.marks.formUnion([.sendsPlain, .handshakeMarked, .everMarked])
        // §3.2.2.3: our SYN-ACK was sent as not ECN-capable.
        case 0b011, 0b100: ecn.marks.insert(.sendsPlain)
        default: break
        }
    }

    /// The handshake told of a mark: there is no flight to go by, and the initial window comes down.
    mutating func answerHandshakeMark(_ context: inout Context) {
        guard ecn.marks.contains(.handshakeMarked) else { return }
        ecn.marks.remove(.handshakeMarked)
        context.reductionsByMarks &+= 1
        guard hasSender else {
            idleThreshold = max(idleWindow / 2, UInt32(2 &* segmentSize))
            idleWindow = idleThreshold
            return
        }
        congestion.reduce(
            inFlight: Int(congestion.window), segmentSize: segmentSize, isECN: true, now: context.now)
        congestion.endRecovery(segmentSize: segmentSize)
    }

    // MARK: Receiver

    /// An acceptable segment came: its mark counts, octets or none (RFC 9768 §3.2).
    mutating func countCodepoint(length: Int, segments: Int, _ context: inout Context) {
        let codepoint = context.codepoint
        let wasMarked = ecn.marks.contains(.lastMarked)
        if codepoint == .congestion { ecn.marks.insert(.lastMarked) } else { ecn.marks.remove(.lastMarked) }
        if length > 0, codepoint != .notCapable { makeMarkedOctets(&context)?.count(codepoint, length) }
        guard codepoint == .congestion else { return }
        context.marksReceived &+= UInt64(segments)
        ecn.received &+= UInt8(truncatingIfNeeded: segments)
        // §3.2.2.5.1: at once when marks begin; then for every second of them, for every third where nothing is owed.
        let limit: UInt8 = length > 0 || receive.next != receive.acknowledged ? 2 : 3
        if length > 0 && !wasMarked || ecn.received &- ecn.told >= limit { flags.insert(.acknowledgeNow) }
    }

    private mutating func makeMarkedOctets(_ context: inout Context) -> MarkedOctets? {
        if markedOctets == nil, context.budget.reserve(MarkedOctets.cost, keeping: context.budget.marks.keptBack) {
            context.recoveryBytes &+= MarkedOctets.cost
            markedOctets = MarkedOctets()
        }
        return markedOctets
    }

    /// Bytes charged.
    package var markedOctetsCost: Int { markedOctets == nil ? 0 : MarkedOctets.cost }

    package mutating func dropMarkedOctets(_ context: inout Context) {
        guard markedOctets != nil else { return }
        context.budget.release(MarkedOctets.cost)
        context.recoveryBytes &-= MarkedOctets.cost
        markedOctets = nil
    }

    /// The counter that a segment has (RFC 9768 §3.2.2.2); an acknowledgment alone has the field of the SYN-ACK while that is
    /// to be told.
    mutating func accurateFlags(_ segment: OutgoingSegment) -> TCPFlags {
        ecn.told = ecn.received
        if segment.options.accurateECN != nil { markedOctets?.noteSent() }
        let isBare = segment.payloadLength == 0 && segment.options.sackCount == 0 && !segment.flags.contains(.fin)
        guard isBare, ecn.marks.contains(.handshakeDue) else { return ECN.flags(ecn.received) }
        ecn.marks.remove(.handshakeDue)
        return ECN.handshakeFlags(ecn.arrivedAs)
    }

    /// Adds the option where there is something new to tell, or where it is tested whether the path carries it, which `test`
    /// says (RFC 9768 §3.2.3.3, §3.2.3.2.1). Two SACK blocks come first; octets that changed are told whole or not at all.
    func addMarkedOctets(to options: inout TCPOptions, test: ECN.Marks) {
        guard ecn.feedback == .accurate, !ecn.marks.contains(.withoutOptions) else { return }
        guard markedOctets?.isNew ?? false || ecn.marks.contains(test) else { return }
        let option = markedOctets?.option ?? ECN.firstOption
        let blocks = options.sackCount > 0 ? 4 &+ 8 &* min(options.sackCount, 2) : 0
        let room = 40 &- (options.timestamps == nil ? 0 : 12) &- blocks
        if option.encodedLength <= room { options.accurateECN = option }
    }

    // MARK: Sender

    /// An acknowledgment of `number` came, not yet processed (RFC 9768 §3.2.2.2). One that a later one has overtaken says
    /// nothing.
    mutating func noteCounter(
        _ header: TCPHeader, isEmpty: Bool, inSynReceived: Bool, _ context: inout Context
    ) {
        let number = header.acknowledgment
        guard !header.flags.contains(.syn), number >= send.unacknowledged else { return }
        let counter = ECN.counter(in: header.flags)
        if inSynReceived, isEmpty, header.options.sackCount == 0 {
            takeThirdSegment(counter)
            return
        }
        if !ecn.marks.contains(.checked) {
            ecn.marks.insert(.checked)
            // §3.2.2.4: no counter begins with zero.
            if counter == 0 { ecn.marks.formUnion([.sendsPlain, .ignoresFeedback]) }
            // §3.2.3.2.4: nor do those of ECT.
            if let option = header.options.accurateECN, option.ect0 == 0 || option.ect1 == 0 {
                ecn.marks.insert(.ignoresOptions)
            }
        }
        guard !ecn.marks.contains(.ignoresFeedback) else { return }
        let octets = marksTold(header.options.accurateECN, &context)
        let marks = marksTold(counter, acknowledged: number.distance(from: send.unacknowledged), octets: octets)
        if octets ?? 0 > 0, !ecn.marks.contains(.everMarked) {
            // §3.2.3.2.5: octets were marked, and packets never: somebody rewrites one of the two.
            ecn.marks.insert(.sendsPlain)
        }
        guard marks > 0 else { return }
        context.echoesReceived &+= 1
        ecn.marks.insert(.heard)
        answerMarks(number, &context)
    }

    /// What an option says of CE since the last one, in octets; `nil` where it says nothing.
    private mutating func marksTold(_ option: AccurateECNOption?, _ context: inout Context) -> Int? {
        guard let field = option?.congestion, !ecn.marks.contains(.ignoresOptions) else { return nil }
        // Zero is where it begins: nothing has to be remembered of it.
        if field == 0, markedOctets == nil { return 0 }
        guard let octets = makeMarkedOctets(&context) else { return nil }
        let news = (field &- octets.told) & 0xFF_FFFF
        // A step back is an older acknowledgment's.
        guard news < 1 &<< 23 else { return nil }
        octets.told = field
        return Int(news)
    }

    /// Packets newly told to be marked (RFC 9768 §3.2.2.2, §3.2.2.5.2, appendix A.2).
    private mutating func marksTold(_ counter: UInt8, acknowledged octets: Int, octets marked: Int?) -> Int {
        let least = Int((counter &- ecn.known) & 7)
        ecn.known = counter
        if least > 0 { ecn.marks.insert(.everMarked) }
        let packets = (octets &+ segmentSize &- 1) / max(segmentSize, 1)
        let average = Int(ecn.thinning) / 8
        if packets > 0 { ecn.thinning = UInt8(clamping: Int(ecn.thinning) &- average &+ min(packets, 31)) }
        // With fewer the counter cannot have come round.
        guard packets > 7 else { return least }
        if let marked { return marked == 0 ? least : max(least, 1) }
        // The safest of what is likely. Where acknowledgments are always as few as this, none was lost, and the receiver
        // saw to it that the counter did not come round.
        return average > 4 ? least : packets &- (packets &- least) & 7
    }
}
