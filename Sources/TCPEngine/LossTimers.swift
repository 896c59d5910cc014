import TCPWire

// What timers say of losses: the reordering timer of RFC 8985 and the retransmission timer of RFC 6298.
extension Connection {
    /// RFC 8985 §6.2 step 5: the reordering timer expired.
    mutating func reorderingTimerExpired(_ context: inout Context) {
        lossAt = .distantFuture
        guard inFlight > 0 else { return }
        let found = detectLosses(context)
        guard found.octets > 0 else { return }
        var feedback = Feedback(
            delivery: Delivery(
                now: context.now, echo: nil, timestampOffset: timestampOffset, leastRoundTrip: leastRoundTrip,
                highest: rack.highest, sample: rate.begin()), inFlightBefore: inFlight, pipeBefore: pipe)
        feedback.lost = found.octets
        feedback.lostAgain = found.again
        respondToLoss(&feedback, &context)
        guard recovery.phase == .fast, congestion.reducesByDelivery else { return }
        congestion.window = recovery.reduction.window(
            delivered: 0, pipe: pipe, threshold: congestion.threshold, isSafe: false, segmentSize: segmentSize)
    }

    /// The retransmission timer expired with data in flight (RFC 6298 §5.4–5.6, RFC 5681 §3.1).
    mutating func retransmissionTimeout(_ context: inout Context) {
        counters.noteTimeout()
        context.timeouts &+= 1
        flags.insert(.retransmit)
        flags.remove(.tailProbe)
        lossAt = .distantFuture
        flags.remove(.tailProbeTimer)
        duplicateAcknowledgments = 0
        let wasRecovering = recovery.phase == .fast || recovery.phase == .timeout
        let isFirst = recovery.phase != .timeout
        // RFC 6675 §5.1: a timeout during fast recovery is the same loss; its window has come down already.
        if !wasRecovering { rememberForUndo(&context) }
        // RFC 2018 §8: a peer may take back what it reported. When a second timeout follows nothing counts any more; that the
        // first segment is such shows when it is acknowledged up to there.
        if recovery.timeouts > 0 { transmissions.forgetSacked() }
        if recovery.timeouts < .max { recovery.timeouts &+= 1 }
        markLossesOnTimeout(&context)
        congestion.timeout(
            inFlight: inFlight, pipe: pipe, segmentSize: segmentSize, isFirst: isFirst, wasRecovering: wasRecovering,
            now: context.now)
        noteReduction()
        // RFC 9768 §3.2.3.2.2: the first data with the option was lost.
        if send.unacknowledged == send.initial + 1 { ecn.marks.insert(.withoutOptions) }
        recovery.phase = .timeout
        recovery.point = send.next
        recovery.startedAt = context.now
        recovery.departed = 0
        recovery.probe.finish()
        if context.parameters.usesForwardRTO {
            beginForwardRTO(wasRecovering: wasRecovering && recovery.forward != .waitsForFirst)
        }
    }

    /// All that is in flight and not SACKed is to go again.
    mutating func sendAgain() {
        var index = 0
        while index < transmissions.count {
            if !transmissions[index].isSacked, !transmissions[index].isLost { _ = transmissions.noteLost(index) }
            index = transmissions.join(at: index) &+ 1
        }
    }
}
