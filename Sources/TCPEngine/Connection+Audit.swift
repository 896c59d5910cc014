import TCPWire

// What must hold of a connection between any two calls, whatever its peer has sent. For tests and fuzzers.
extension Connection {
    /// The rule that is broken, if one is.
    package func audit(_ context: borrowing Context) -> StaticString? {
        if state == .closed { return auditClosed() }
        return auditSending(context) ?? auditReceiving(context) ?? auditProgress(context)
    }

    private func auditClosed() -> StaticString? {
        if !sendQueue.isEmpty { return "a closed connection keeps octets to send" }
        if recovery != nil || reassembly != nil { return "a closed connection keeps recovery state" }
        if retransmitAt != .distantFuture || acknowledgeAt != .distantFuture || orphanAt != .distantFuture {
            return "a closed connection has a timer"
        }
        return nil
    }

    private func auditSending(_ context: borrowing Context) -> StaticString? {
        if send.next < send.unacknowledged { return "SND.NXT lies before SND.UNA" }
        if send.next > finSequence + 1 { return "SND.NXT lies past the FIN" }
        if !isFinDue, state != .finWait2, state != .timeWait, send.next > finSequence, send.next != send.initial + 1 {
            return "SND.NXT lies past what was queued"
        }
        if inFlight > max(Int(send.maximumWindow), 1) { return "more is in flight than any window allowed" }
        if sendQueue.count > context.parameters.sendBuffer { return "more is queued to send than the limit" }
        if let fault = auditPath() { return fault }
        guard let recovery else { return nil }
        for range in recovery.sacked.ranges
        where range.start < send.unacknowledged || range.end > send.next || range.start >= range.end {
            return "the scoreboard holds octets that are not in flight"
        }
        if recovery.sacked.byteCount > inFlight { return "the scoreboard counts more octets than are in flight" }
        return nil
    }

    private func auditPath() -> StaticString? {
        guard path.probeSize > 0 else {
            return path.searches && path.size == .max ? "probes look for more than the largest size" : nil
        }
        if !path.searches { return "a probe is in flight, and nothing is looked for" }
        if path.probeSize <= path.size { return "a probe is no larger than other segments" }
        if Int(path.probeSize) > Int(min(linkSegmentSize, max(48, peerSegmentSize))) {
            return "a probe is larger than the link or the peer takes"
        }
        if path.probeEnd <= send.unacknowledged || path.probeEnd > send.next { return "a probe is not in flight" }
        return nil
    }

    private func auditReceiving(_ context: borrowing Context) -> StaticString? {
        guard state != .synSent else { return nil }
        // A FIN right behind the last octet of the window is taken, though it stands outside.
        if receive.edge + (isReceiving ? 0 : 1) < receive.next { return "RCV.NXT lies past the window's right edge" }
        if receive.acknowledged > receive.next { return "more was acknowledged than received" }
        let unit = 1 &<< Int(receive.scale)
        if isReceiving, advertisedWindow &+ receiveQueue.count > context.parameters.receiveBuffer &+ unit {
            return "more window is advertised than the buffer has room for"
        }
        guard let reassembly else { return nil }
        var end = receive.next
        for range in reassembly.ranges.ranges {
            if range.start <= end { return "ranges out of order touch, or do not lie past RCV.NXT" }
            if range.end > receive.edge { return "octets past the window's right edge are kept" }
            end = range.end
        }
        return nil
    }

    /// Never data or a FIN to send, or to be acknowledged, without a timer that asks again.
    private func auditProgress(_ context: borrowing Context) -> StaticString? {
        if state == .timeWait { return nil }
        if nextDeadline(context) < Instant(nanoseconds: 0) { return "a deadline lies before the origin of time" }
        let waits = inFlight > 0 || unsent > 0 || isFinDue && !isFinSent
        if waits, retransmitAt == .distantFuture, !mayTransmit { return "something is to be sent, and no timer runs" }
        if inFlight > 0, retransmitAt == .distantFuture, flags.isDisjoint(with: [.retransmit, .probe]) {
            return "something is in flight, and no timer runs"
        }
        return nil
    }
}
