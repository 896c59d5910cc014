import TCPWire

/// What is needed to find that a recovery was not called for, and to take back what it did. Made when one begins, gone with
/// the next one or with the sender: D-SACK comes when everything may be acknowledged already.
package final class Undo {
    /// Bytes charged for one.
    package static let cost = 256

    /// Congestion control as it was.
    let congestion: Congestion
    /// SND.UNA and SND.NXT when it began: what lies between may be sent again without need.
    let start: SequenceNumber
    private(set) var end: SequenceNumber
    /// TSval of the first retransmission (RFC 3522 §3.2 step 1), if one has left.
    private(set) var firstRetransmission: UInt32?
    /// Octets sent again that no D-SACK has reported.
    private(set) var unreported = 0
    private var hasSentAgain = false

    init(_ congestion: Congestion, from start: SequenceNumber, to end: SequenceNumber) {
        self.congestion = congestion
        self.start = start
        self.end = end
    }

    func noteSentAgain(_ octets: Int, timestamp: UInt32?) {
        if !hasSentAgain { firstRetransmission = timestamp }
        hasSentAgain = true
        unreported &+= octets
    }

    /// Whether D-SACK has reported all that was sent again: none of it was needed.
    func noteReported(_ block: SACKBlock) -> Bool {
        guard hasSentAgain, block.start >= start, block.end <= end else { return false }
        unreported &-= block.end.distance(from: block.start)
        return unreported <= 0
    }

    /// RFC 3522 §3.2 step 5: whether an acknowledgment answers something older than the first retransmission.
    func isOlder(_ echo: UInt32) -> Bool {
        guard let firstRetransmission else { return false }
        return Int32(bitPattern: echo &- firstRetransmission) < 0
    }

    func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        congestion.fingerprint(into: &hash, origin)
        hash.add(origin.local(start) | origin.local(end) &<< 32)
        hash.add(UInt64(firstRetransmission.map { $0 &- origin.clock } ?? .max) | (hasSentAgain ? 1 &<< 32 : 0))
        hash.add(unreported)
    }
}

// A recovery that was not called for: found by timestamps (Eifel, RFC 3522), by D-SACK (RFC 3708), or, after a timeout, by
// what arrives (F-RTO, RFC 5682); answered as RFC 4015 and RFC 9438 §4.9 say.
extension Connection {
    /// Remembers what the recovery that begins now may have to take back.
    mutating func rememberForUndo(_ context: inout Context) {
        dropUndo(&context)
        guard context.budget.reserve(Undo.cost) else { return }
        context.recoveryBytes &+= Undo.cost
        recovery.undo = Undo(congestion, from: send.unacknowledged, to: send.next)
    }

    package mutating func dropUndo(_ context: inout Context) {
        guard recovery.undo != nil else { return }
        context.budget.release(Undo.cost)
        context.recoveryBytes &-= Undo.cost
        recovery.undo = nil
    }

    /// RFC 3522 §3.2: the acknowledgment advances, and answers the first sending.
    func showsSpurious(_ header: TCPHeader) -> Bool {
        guard flags.contains(.timestamps), let undo = recovery.undo, let echo = header.options.timestamps?.echo,
            echo != 0
        else { return false }
        return undo.isOlder(echo)
    }

    /// RFC 4015 §3, RFC 9438 §4.9: the window and the threshold come back, and what was not sent again yet stays as it is.
    mutating func undoRecovery(_ context: inout Context) {
        guard let undo = recovery.undo else { return }
        congestion.restore(undo.congestion, rate)
        if recovery.phase == .timeout { rtt.endBackOff() } else { rack.noteOvertaken() }
        dropUndo(&context)
        spuriousRecoveries = spuriousRecoveries == .max ? .max : spuriousRecoveries &+ 1
        context.spuriousRecoveries &+= 1
        if recovery.phase == .fast || recovery.phase == .timeout || recovery.phase == .reduced {
            transmissions.forgetLost()
            recovery.phase = .open
            recovery.forward = .off
            recovery.timeouts = 0
            recovery.departed = 0
            duplicateAcknowledgments = 0
        }
    }

    /// RFC 2883 §4: the first block reports a duplicate when it lies before SEG.ACK, or within the second.
    func duplicateReport(_ header: TCPHeader) -> SACKBlock? {
        guard flags.contains(.sack), header.options.sackCount > 0 else { return nil }
        let first = header.options.sackBlocks[0]
        guard first.start < first.end else { return nil }
        if first.end <= header.acknowledgment { return first }
        guard header.options.sackCount > 1 else { return nil }
        let second = header.options.sackBlocks[1]
        return second.start <= first.start && first.end <= second.end ? first : nil
    }
}
