import TCPWire

/// TLP's variables of a connection (RFC 8985 §7.1).
struct TailLossProbe {
    /// TLP.end_seq: SND.NXT when the probe was sent.
    private(set) var end = SequenceNumber(0)
    /// Whether a probe is out.
    private(set) var isOut = false
    /// TLP.is_retrans.
    private(set) var isRetransmission = false
    /// Whether a round trip was measured since the last probe was sent (RFC 8985 §7.3).
    var hasMeasured = true

    /// How long the peer holds the acknowledgment of a lone segment back, in nanoseconds: the most of late; negative before
    /// it was seen.
    private var delay: Int64 = -1

    /// The least PTO, in nanoseconds.
    static let leastWait: Int64 = 2_000_000
    /// What most hosts wait before they acknowledge a lone segment, 40 ms, and a little more.
    static let usualDelay: Int64 = 45_000_000

    mutating func send(end: SequenceNumber, isRetransmission: Bool) {
        self.end = end
        self.isRetransmission = isRetransmission
        isOut = true
        hasMeasured = false
    }

    mutating func finish() { isOut = false }

    /// What is known of TLP.max_ack_delay, in nanoseconds.
    var heldBack: Int64? { delay < 0 ? nil : delay }

    /// The acknowledgment of one segment took so much longer than SRTT.
    mutating func noteDelay(_ excess: Int64) { delay = max(0, excess, delay &- delay / 8) }

    func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(UInt64(isOut ? 1 : 0) | UInt64(isRetransmission ? 2 : 0) | UInt64(hasMeasured ? 4 : 0))
        hash.add(UInt64(bitPattern: delay))
        if isOut { hash.add(origin.local(end)) }
    }
}

// RFC 8985 §7: when the last segments of a flight are lost nothing tells, so the sender asks before the timeout does.
extension Connection {
    /// RFC 8985 §7.2, TLP_calc_PTO and the conditions for it: after new data was sent or acknowledged.
    mutating func scheduleTailProbe(_ context: borrowing Context) {
        guard context.parameters.probesTail, flags.contains(.sack), !recovery.isRepairing,
            transmissions.sackedOctets == 0, inFlight > 0, send.window > 0, !flags.contains(.probing),
            !recovery.probe.isOut, isSynAcknowledged
        else {
            cancelTailProbe()
            return
        }
        flags.insert(.tailProbeTimer)
        lossAt = min(tailProbeAt(context), retransmitAt)
    }

    /// The PTO's end.
    private func tailProbeAt(_ context: borrowing Context) -> Instant {
        guard rtt.smoothed > 0 else { return context.now.advanced(byNanoseconds: 1_000_000_000) }
        // Over the shortest paths it is the hosts, not the path, that take time to answer.
        let wait = max(2 &* rtt.smoothed, TailLossProbe.leastWait)
        guard inFlight <= segmentSize else { return context.now.advanced(byNanoseconds: wait) }
        let budget = context.parameters.tailProbeDelay
        guard let delay = recovery.probe.heldBack, !transmissions.isEmpty else {
            return context.now.advanced(byNanoseconds: wait &+ budget)
        }
        // Where it is known how long the peer holds acknowledgments back the time counts from the sending: the answer is due one
        // round trip and that later, or what most hosts wait, and half a round trip is for what may vary. What was sent
        // before was acknowledged just now, so something may be on its way yet.
        let least = max(
            wait, rtt.smoothed &+ max(rtt.smoothed / 2 &+ min(delay, budget), TailLossProbe.usualDelay))
        let sent = transmissions[transmissions.count &- 1].sentAt.advanced(byNanoseconds: least)
        return max(sent, context.now.advanced(byNanoseconds: max(rtt.smoothed / 2, TailLossProbe.leastWait)))
    }

    mutating func cancelTailProbe() {
        guard flags.contains(.tailProbeTimer) else { return }
        flags.remove(.tailProbeTimer)
        lossAt = .distantFuture
    }

    /// RFC 8985 §7.3: the timer expired.
    mutating func tailProbeExpired(_ context: borrowing Context) {
        cancelTailProbe()
        guard inFlight > 0 else { return }
        // Only one at a time, and not again before a round trip was measured.
        if recovery.probe.hasMeasured { flags.insert(.tailProbe) }
        retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
    }

    /// RFC 8985 §7.3, TLP_send_probe: new data if there is some and the peer's window takes it, else the last segment again.
    mutating func composeTailProbe(_ options: TCPOptions, size: Int, _ context: inout Context) -> OutgoingSegment? {
        flags.remove(.tailProbe)
        guard inFlight > 0, !recovery.isRepairing, send.window > 0 else { return nil }
        let room = min(size, windowRoom)
        if unsent > 0, room >= min(unsent, size), transmissions.makeRoom(for: 1, &context) {
            let segment = newSegment(min(unsent, room), options, size: size, &context)
            probeLeft(isRetransmission: false, &context)
            return segment
        }
        let end = SequenceNumber.earlier(send.next, send.unacknowledged + Int(send.window))
        var start = end + -size
        // The octet that is the FIN takes no room.
        if isFinSent, end == send.next { start += -1 }
        start = .later(start, send.unacknowledged)
        guard start < end, transmissions.makeRoom(for: 2, &context) else { return nil }
        let segment = retransmission(from: start, to: end, options, size: size, &context)
        probeLeft(isRetransmission: true, &context)
        return segment
    }

    /// RFC 8985 §7.3: from here on the retransmission timer runs, and no other.
    private mutating func probeLeft(isRetransmission: Bool, _ context: inout Context) {
        recovery.probe.send(end: send.next, isRetransmission: isRetransmission)
        cancelTailProbe()
        retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        counters.noteTailProbe()
        context.tailProbes &+= 1
    }

    /// RFC 8985 §7.4.2, TLP_process_ack. Says whether the probe repaired a loss, of which congestion control must hear.
    mutating func tailProbeRepairedLoss(
        _ number: SequenceNumber, duplicateReport: SACKBlock?, isEmptyDuplicate: Bool, budget: Int64
    ) -> Bool {
        guard recovery.probe.isOut, number >= recovery.probe.end else { return false }
        if !recovery.probe.isRetransmission {
            recovery.probe.finish()
            return false
        }
        if duplicateReport.map({ $0.end == recovery.probe.end }) ?? false || isEmptyDuplicate {
            // Both arrived: the peer holds back for longer than was seen.
            recovery.probe.finish()
            recovery.probe.noteDelay(budget)
            return false
        }
        guard number > recovery.probe.end else { return false }
        recovery.probe.finish()
        return true
    }
}
