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
        if hasSender || reassembly != nil { return "a closed connection keeps recovery state" }
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
        // What goes with a SYN knows no window yet.
        if inFlight > max(Int(send.maximumWindow), 1), isSynAcknowledged {
            return "more is in flight than any window allowed"
        }
        if sendQueue.count > context.parameters.sendBuffer { return "more is queued to send than the limit" }
        if let fault = auditPath() { return fault }
        return auditTransmissions()
    }

    private func auditTransmissions() -> StaticString? {
        guard isSynAcknowledged else { return nil }
        guard hasSender else { return inFlight > 0 ? "something is in flight, and nothing is known of it" : nil }
        if transmissions.start != queueStart || transmissions.end != send.next {
            return "the records of what was sent do not tile what is in flight"
        }
        var (sacked, lost, ranges) = (0, 0, 0)
        for index in 0..<transmissions.count {
            let octets = transmissions[index].end.distance(from: transmissions.start(of: index))
            if octets <= 0 { return "a record of what was sent is empty" }
            if transmissions[index].isSacked { (sacked, ranges) = (sacked &+ octets, ranges &+ 1) }
            if transmissions[index].isLost { lost &+= octets }
            if transmissions[index].isSacked, transmissions[index].isLost {
                return "what the peer holds counts as lost"
            }
        }
        if sacked != transmissions.sackedOctets || lost != transmissions.lostOctets
            || ranges != transmissions.sackedRanges
        {
            return "the scoreboard counts other octets than it holds"
        }
        return recovery.departed > 0 && Int(recovery.departed) > transmissions.pipe
            ? "more segments have left the network than were in it" : nil
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
        let most = max(context.parameters.receiveBuffer, Int(space.limit)) &+ unit
        if isReceiving, advertisedWindow &+ receiveQueue.count > most {
            return "more window is advertised than the buffer has room for"
        }
        if !self.flags.contains(.fixedReceiveBuffer), Int(space.limit) > context.parameters.receiveBuffer {
            return "more is kept for reading than the limit"
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
        if waits, retransmitAt == .distantFuture, !mayTransmit(context), nextDeadline(context) == .distantFuture {
            return "something is to be sent, and no timer runs"
        }
        if inFlight > 0, retransmitAt == .distantFuture, flags.isDisjoint(with: [.retransmit, .probe]) {
            return "something is in flight, and no timer runs"
        }
        return nil
    }
}
