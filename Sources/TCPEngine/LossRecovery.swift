import TCPWire

// What acknowledgments say of losses: RFC 8985 with SACK, RFC 5681 §3.2 and RFC 6582 without; and what is done about them.
extension Connection {
    /// An acknowledgment at work.
    struct Feedback {
        var delivery: Delivery
        /// Octets that SEG.ACK newly acknowledges.
        var acknowledged = 0
        /// Octets in flight before it, and believed to be in the network.
        var inFlightBefore: Int
        var pipeBefore: Int
        /// Octets found lost, and whether retransmissions are among them.
        var lost = 0
        var lostAgain = false
        /// RFC 2883: what arrived twice.
        var duplicateReport: SACKBlock?
        var hasSACK = false
        /// Whether it answers a probe of a shut window, which measures nothing.
        var answersProbe = false
        /// Whether nothing was being repaired when it came, and whether the window was coming down.
        var wasOpen = true
        var wasReducing = false
        /// The round trip of what was sent last; zero when none was measured.
        var roundTrip: Int64 = 0
    }

    func makeFeedback(_ header: TCPHeader, _ context: borrowing Context) -> Feedback {
        let delivery = Delivery(
            now: context.now, echo: flags.contains(.timestamps) ? header.options.timestamps?.echo : nil,
            timestampOffset: timestampOffset, leastRoundTrip: leastRoundTrip, highest: rack.highest,
            sample: rate.begin())
        return Feedback(
            delivery: delivery, inFlightBefore: inFlight, pipeBefore: pipe,
            duplicateReport: duplicateReport(header), hasSACK: flags.contains(.sack) && header.options.sackCount > 0,
            wasOpen: recovery.phase == .open, wasReducing: recovery.reducesWindow)
    }

    /// RFC 6675 §3, Update: takes the SACK blocks of an acknowledgment. Those that make no sense, and D-SACK, change nothing.
    private mutating func takeSACK(_ header: TCPHeader, _ feedback: inout Feedback, _ context: inout Context) {
        guard feedback.hasSACK, inFlight > 0 else { return }
        let before = transmissions.sackedOctets
        // RFC 8985 §6.2 step 3: in ascending order, or what one acknowledgment reports would seem to be reordered.
        var done: UInt8 = 0
        for _ in 0..<header.options.sackCount {
            var next = -1
            for index in 0..<header.options.sackCount where done & 1 &<< UInt8(index) == 0 {
                if next < 0 || header.options.sackBlocks[index].start < header.options.sackBlocks[next].start {
                    next = index
                }
            }
            done |= 1 &<< UInt8(next)
            // What begins at SEG.ACK would have been acknowledged.
            guard header.options.sackBlocks[next].start != send.unacknowledged else { continue }
            transmissions.sack(
                header.options.sackBlocks[next], segmentSize: segmentSize, &feedback.delivery, &rate, &context)
        }
        if probeIsHeld { probeArrived(context) }
        // Something as large as the segment that waits has arrived: it was not its size.
        if transmissions.sackedOctets &- before >= segmentSize { path.timeouts = 0 }
    }

    /// An acknowledgment that acknowledges nothing new.
    mutating func noteDuplicate(
        _ header: TCPHeader, isEmpty: Bool, sameWindow: Bool, _ context: inout Context
    ) {
        var feedback = makeFeedback(header, context)
        noteDuplicateReport(&feedback, &context)
        guard hasSender else { return }
        // With nothing in flight, too: the probe may have been the last that was sent.
        noteTailProbeAnswer(
            header, feedback, isEmptyDuplicate: isEmpty && sameWindow && !feedback.hasSACK, &context)
        guard inFlight > 0, send.window > 0, !flags.contains(.probing) else { return }
        takeSACK(header, &feedback, &context)
        measureRoundTrip(header, &feedback, context)
        // RFC 5681 §2: no data, no SYN, no FIN, the same acknowledgment, the same window. With SACK, news counts instead
        // (RFC 6675 §2).
        let isDuplicate = feedback.hasSACK ? feedback.delivery.octets > 0 : isEmpty && sameWindow
        guard isDuplicate else { return }
        if duplicateAcknowledgments == 0 { flightAtDuplicate = UInt32(clamping: inFlight) }
        if duplicateAcknowledgments < .max { duplicateAcknowledgments &+= 1 }
        if !flags.contains(.sack) { countDeparted(&feedback) }
        cancelTailProbe()
        respond(header, &feedback, &context)
        offerRoom(context)
    }

    /// Without SACK a duplicate says that some segment has left the network. No more can have than were in it: forged
    /// duplicates beyond that count for nothing. While nothing is repaired, two at most (RFC 3042), and the one that begins
    /// the repair.
    private mutating func countDeparted(_ feedback: inout Feedback) {
        // After a timeout they may be of what was sent before it, which counts as lost.
        guard recovery.phase != .timeout else { return }
        let most = showDuplicatesLoss ? Connection.duplicateThreshold : 2
        let limit = recovery.phase == .open ? most &* segmentSize : Int(flightAtDuplicate)
        let departed = min(Int(recovery.departed) &+ segmentSize, limit, transmissions.pipe)
        guard departed > Int(recovery.departed) else { return }
        feedback.delivery.octets &+= departed &- Int(recovery.departed)
        recovery.departed = UInt32(clamping: departed)
    }

    /// New data was acknowledged: `total` octets up to `number`, of `feedback.inFlightBefore`.
    mutating func recoverFrom(
        acknowledged total: Int, _ header: TCPHeader, _ feedback: inout Feedback, _ context: inout Context
    ) {
        feedback.acknowledged = total
        duplicateAcknowledgments = 0
        // RFC 2018 §8: an acknowledgment that stops short of what was reported says that the peer dropped it.
        if !transmissions.isEmpty, transmissions[0].isSacked { transmissions.forgetSacked() }
        takeSACK(header, &feedback, &context)
        if !flags.contains(.sack) {
            // RFC 9937 §6.2: what duplicates had counted already is not delivered again.
            let counted = min(Int(recovery.departed), max(0, total &- segmentSize))
            feedback.delivery.octets = max(0, feedback.delivery.octets &- counted)
            recovery.departed = recovery.departed &- UInt32(clamping: counted)
            if recovery.phase == .open { recovery.departed = 0 }
        }
        measureRoundTrip(header, &feedback, context)
        noteDuplicateReport(&feedback, &context)
        noteTailProbeAnswer(header, feedback, isEmptyDuplicate: false, &context)
        respond(header, &feedback, &context)
        // RFC 6298 §5.2, §5.3: only new data restarts the timer.
        if inFlight == 0 {
            retransmitAt = .distantFuture
            lossAt = .distantFuture
            flags.subtract([.retransmit, .tailProbe, .tailProbeTimer])
            if recovery.phase != .open { endRecovery(&context) }
            recovery.departed = 0
        } else {
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
            scheduleTailProbe(context)
        }
    }

    /// An acknowledgment that others have overtaken: a D-SACK on it counts all the same.
    mutating func noteOldAcknowledgment(_ header: TCPHeader, _ context: inout Context) {
        guard hasSender, duplicateReport(header) != nil else { return }
        var feedback = makeFeedback(header, context)
        noteDuplicateReport(&feedback, &context)
    }

    /// RFC 8985 §6.2 step 4, and the D-SACK half of undoing.
    private mutating func noteDuplicateReport(_ feedback: inout Feedback, _ context: inout Context) {
        guard hasSender, let report = feedback.duplicateReport else { return }
        rack.noteDuplicateReport(unacknowledged: send.unacknowledged, next: send.next)
        counters.noteDuplicateReport()
        rate.countDuplicate(min(report.end.distance(from: report.start), segmentSize))
        if let undo = recovery.undo, undo.noteReported(report) { undoRecovery(&context) }
    }

    private mutating func noteTailProbeAnswer(
        _ header: TCPHeader, _ feedback: Feedback, isEmptyDuplicate: Bool, _ context: inout Context
    ) {
        guard
            tailProbeRepairedLoss(
                header.acknowledgment, duplicateReport: feedback.duplicateReport, isEmptyDuplicate: isEmptyDuplicate,
                budget: context.parameters.tailProbeDelay),
            recovery.phase == .open
        else { return }
        // RFC 8985 §7.4.2: a loss is a loss, though nothing had to be repaired.
        congestion.reduce(inFlight: feedback.inFlightBefore, segmentSize: segmentSize, isECN: false, now: context.now)
        congestion.endRecovery(segmentSize: segmentSize)
        noteReduction()
    }

    // MARK: What follows from it

    /// Finds losses, and lets recovery and congestion control go on.
    private mutating func respond(_ header: TCPHeader, _ feedback: inout Feedback, _ context: inout Context) {
        rack.update(feedback.delivery)
        if feedback.delivery.isReordered { counters.noteReordering() }
        rack.notePassed(send.unacknowledged)
        if feedback.acknowledged > 0, recovery.phase == .timeout { recovery.timeouts = 0 }
        let isSpurious = takeBackIfSpurious(header, feedback, &context)
        if !isSpurious { endRecoveryIfPassed(&context) }
        findLosses(&feedback, &context)
        if feedback.lost > 0 { respondToLoss(&feedback, &context) }
        if recovery.departed > 0 { recovery.departed = min(recovery.departed, UInt32(clamping: transmissions.pipe)) }
        tellCongestion(
            feedback, isInRecovery: isSpurious || feedback.wasReducing || recovery.reducesWindow, &context)
        guard recovery.reducesWindow, congestion.reducesByDelivery,
            feedback.delivery.octets > 0 || !feedback.wasReducing
        else { return }
        congestion.window = recovery.reduction.window(
            delivered: feedback.delivery.octets, pipe: pipe, threshold: congestion.threshold,
            isSafe: feedback.acknowledged > 0 && feedback.lost == 0, segmentSize: segmentSize)
    }

    /// Says whether the recovery turned out to be spurious, and was taken back.
    private mutating func takeBackIfSpurious(
        _ header: TCPHeader, _ feedback: Feedback, _ context: inout Context
    ) -> Bool {
        guard recovery.phase == .fast || recovery.phase == .timeout, recovery.undo != nil else {
            recovery.forward = .off
            return false
        }
        let advances = feedback.acknowledged > 0
        var isSpurious = advances && showsSpurious(header)
        if recovery.phase == .timeout {
            isSpurious = forwardRTOShowsSpurious(feedback.delivery, advances: advances) || isSpurious
        }
        guard isSpurious else { return false }
        let wasTimeout = recovery.phase == .timeout
        undoRecovery(&context)
        if wasTimeout { rack.restart(feedback.delivery) }
        return true
    }

    private mutating func endRecoveryIfPassed(_ context: inout Context) {
        let point = recovery.phase == .reduced ? ecn.point : recovery.point
        guard recovery.phase != .open, send.unacknowledged >= point else { return }
        endRecovery(&context)
    }

    mutating func endRecovery(_ context: inout Context) {
        let phase = recovery.phase
        recovery.phase = .open
        recovery.forward = .off
        recovery.timeouts = 0
        recovery.departed = 0
        if phase == .fast || phase == .reduced { congestion.endRecovery(segmentSize: segmentSize) }
        if phase == .fast || phase == .timeout { rack.noteRecoveryEnded() }
    }

    private mutating func findLosses(_ feedback: inout Feedback, _ context: inout Context) {
        guard inFlight > 0 else { return }
        guard flags.contains(.sack) else {
            findFirstLost(&feedback, &context)
            return
        }
        let found = detectLosses(context)
        feedback.lost &+= found.octets
        feedback.lostAgain = found.again
    }

    /// RFC 5681 §3.2. RFC 6582 §3.2 step 1: duplicates of what recovery itself sent are no sign of loss.
    private var showDuplicatesLoss: Bool {
        duplicateAcknowledgments >= Connection.duplicateThreshold
            && (send.unacknowledged > recovery.point || recovery.point == send.initial)
    }

    /// Without SACK: the third duplicate shows the first segment lost (RFC 5681 §3.2), in recovery an acknowledgment that
    /// does not end it the next (RFC 6582 §3.2 step 3).
    private mutating func findFirstLost(_ feedback: inout Feedback, _ context: inout Context) {
        let isLost: Bool
        switch recovery.phase {
        case .open, .reduced: isLost = showDuplicatesLoss
        case .fast: isLost = feedback.acknowledged > 0
        case .timeout, .resized, .divided: isLost = false
        }
        guard isLost, !transmissions.isEmpty, !transmissions[0].isLost, transmissions.makeRoom(for: 1, &context) else {
            return
        }
        transmissions.cut(at: .earlier(send.unacknowledged + segmentSize, send.next))
        feedback.lost &+= markLost(0, context.now)
        transmissions.join(at: 0)
        // Step 3: at once, whatever the window.
        flags.insert(.retransmit)
    }

    /// Something was found lost.
    mutating func respondToLoss(_ feedback: inout Feedback, _ context: inout Context) {
        switch recovery.phase {
        case .open, .reduced:
            if recovery.phase == .open, repairProbe(&context) { return }
            enterRecovery(feedback, &context)
        case .fast:
            // RFC 5681 §4.3: the loss of a retransmission is another indication of congestion.
            if feedback.lostAgain { enterRecovery(feedback, &context) }
        case .timeout, .resized, .divided: break
        }
    }

    /// RFC 5681 §3.2, RFC 6675 §5, RFC 9937 §6.1: fast recovery.
    private mutating func enterRecovery(_ feedback: Feedback, _ context: inout Context) {
        // RFC 3168 §6.1.2: once in a window of data; a reduction that is under way was for this too.
        let isReduced = recovery.phase == .reduced
        if !isReduced {
            rememberForUndo(&context)
            // RFC 5681 §3.2 (2): without the segments of limited transmit.
            var flight = feedback.inFlightBefore
            if duplicateAcknowledgments > 0 { flight = min(Int(flightAtDuplicate), inFlight) }
            // What is lost again was sent by a window that had come down to the threshold.
            if recovery.phase == .fast { flight = min(flight, Int(clamping: congestion.threshold)) }
            congestion.reduce(inFlight: flight, segmentSize: segmentSize, isECN: false, now: context.now)
            recovery.reduction.begin(
                flight: inFlight &- transmissions.sackedOctets &+ (flags.contains(.sack) ? feedback.delivery.octets : 0)
            )
        }
        if recovery.phase != .fast {
            counters.noteRecovery()
            context.recoveries &+= 1
        }
        noteReduction()
        // The first goes again at once: of a reduction that was under way enough has left already for it to wait.
        if isReduced { flags.insert(.retransmit) }
        recovery.phase = .fast
        recovery.point = send.next
        // Without SACK duplicates may come of all that is out now.
        flightAtDuplicate = UInt32(clamping: inFlight)
        recovery.startedAt = context.now
        recovery.probe.finish()
        flags.remove(.tailProbe)
        cancelTailProbe()
    }

    /// What the acknowledgment means to congestion control.
    private mutating func tellCongestion(_ feedback: Feedback, isInRecovery: Bool, _ context: inout Context) {
        var signal = CongestionSignal(now: context.now, segmentSize: segmentSize)
        // What was reported before, while nothing was repaired, counts when it is acknowledged.
        signal.acknowledged =
            feedback.wasOpen || feedback.acknowledged == 0 ? feedback.acknowledged : feedback.delivery.octets
        signal.delivered = feedback.delivery.octets
        signal.lost = feedback.lost
        signal.inFlightBefore = feedback.pipeBefore
        signal.inFlight = pipe
        signal.roundTrip = feedback.roundTrip
        signal.smoothedRoundTrip = rtt.smoothed
        signal.isInRecovery = isInRecovery || congestion.reducesByDelivery && ecn.marks.contains(.heard)
        signal.unacknowledged = send.unacknowledged
        signal.next = send.next
        signal.isWindowLimited = isWindowLimited(feedback)
        // RFC 3465 §2.3: one segment an acknowledgment while the window of a timeout is repaired.
        signal.segmentLimit = recovery.phase == .open ? (context.parameters.paces ? 8 : 2) : 1
        var sample = feedback.delivery.sample
        rate.finish(&sample, minimumRoundTrip: leastRoundTrip)
        counters.noteRate(sample)
        if ecn.marks.contains(.marked) {
            ecn.marks.remove(.marked)
            congestion.noteMarks(signal, sample, rate)
        }
        congestion.acknowledge(signal, sample, &rate)
    }

    /// The window grows only while it is what limits the sender (RFC 7661 §4.1: an unused window proves nothing).
    private func isWindowLimited(_ feedback: Feedback) -> Bool {
        if recovery.phase != .open { return true }
        // In slow start a window of which half was used does for what comes next.
        if congestion.isSlowStart { return feedback.inFlightBefore &* 2 > Int(congestion.window) }
        return feedback.inFlightBefore &+ 3 &* segmentSize >= Int(congestion.window)
    }
}
