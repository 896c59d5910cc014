import TCPWire

// The ACK field (RFC 9293 §3.10.7.4, fifth): what it acknowledges, what window it opens, what it says of losses.
extension Connection {
    /// Says whether the segment is to be processed further.
    mutating func processAcknowledgment(
        _ header: TCPHeader, _ sequence: SequenceNumber, isEmpty: Bool, _ context: inout Context
    ) -> Bool {
        let number = header.acknowledgment
        let completes = state == .synReceived || flags.contains(.synUnanswered)
        if completes {
            guard send.initial < number, number <= send.next else {
                context.bareReset = number
                return false
            }
            establish(header, &context)
        }
        // RFC 5961 §5.2: SND.UNA − MAX.SND.WND =< SEG.ACK =< SND.NXT, else a challenge.
        // By the distance: the number half the circle away is both before and after.
        let ahead = number.distance(from: send.unacknowledged)
        guard ahead <= inFlight, ahead >= -Int(send.maximumWindow) else {
            challenge(&context)
            return false
        }
        let previousWindow = send.window
        ecn.marks.remove(.heard)
        if ecn.feedback == .accurate {
            noteCounter(header, isEmpty: isEmpty, inSynReceived: completes, &context)
            answerHandshakeMark(&context)
        } else if header.flags.contains(.ece) {
            noteEcho(number, &context)
        }
        updateWindow(header, sequence)
        if number > send.unacknowledged {
            acknowledgeNew(number, header, &context)
        } else if number == send.unacknowledged, !completes {
            noteDuplicate(header, isEmpty: isEmpty, sameWindow: previousWindow == send.window, &context)
        } else if number < send.unacknowledged {
            noteOldAcknowledgment(header, &context)
        }
        if send.window == 0 {
            // RFC 9293 MUST-37: a peer that answers keeps the connection, whatever its window.
            rtt.noteProgress()
        } else if previousWindow == 0 {
            windowOpened(&context)
        }
        if isReleased { limitShutWindow(context) }
        return state != .closed
    }

    /// RFC 9293 §3.10.7.4: the window is taken from the latest segment by SND.WL1 and SND.WL2.
    mutating func updateWindow(_ header: TCPHeader, _ sequence: SequenceNumber) {
        let number = header.acknowledgment
        guard number >= send.unacknowledged, number <= send.next else { return }
        guard
            send.windowSequence < sequence
                || send.windowSequence == sequence && send.windowAcknowledgment <= number
        else { return }
        // RFC 7323 §2.2: the field of a SYN is never scaled.
        send.window = UInt32(header.window) &<< UInt32(header.flags.contains(.syn) ? 0 : send.scale)
        send.maximumWindow = max(send.maximumWindow, send.window)
        send.windowSequence = sequence
        send.windowAcknowledgment = number
    }

    /// The window opened after it was closed: what a probe had carried is sent again as ordinary data.
    private mutating func windowOpened(_ context: inout Context) {
        flags.remove(.probe)
        rtt.endBackOff()
        // R2 counts from here: the last probe may have been answered long ago.
        unansweredAt = context.now
        if flags.contains(.probing), inFlight == 1 {
            send.next = send.unacknowledged
            if hasSender { transmissions.removeAll(at: send.next, &context) }
            flags.remove(.probing)
        }
        retransmitAt =
            inFlight > 0 ? context.now.advanced(byNanoseconds: rtt.timeout(context.parameters)) : .distantFuture
    }

    private mutating func acknowledgeNew(
        _ number: SequenceNumber, _ header: TCPHeader, _ context: inout Context
    ) {
        context.forwardProgress &+= 1
        noteApplicationLimited()
        var feedback = makeFeedback(header, context)
        let acknowledgesFin = isFinSent && number == send.next
        let total = number.distance(from: send.unacknowledged)
        let octets = min(sendQueue.count, total &- (acknowledgesFin ? 1 : 0))
        transmissions.acknowledge(to: number, &feedback.delivery, &rate)
        if octets > 0 { sendQueue.removeFirst(octets, &context.pool, &context.budget) }
        send.unacknowledged = number
        // Points that lie behind must not fall 2³¹ behind, or they would come to lie ahead.
        if hasSender {
            smallEnd = .later(smallEnd, number)
            sentEnd = .later(sentEnd, number)
        }
        if hasSender, number.distance(from: recovery.point) > 1 &<< 30 { recovery.point = number + -1 }
        if ecn.marks.contains(.answered), number > ecn.point { ecn.marks.remove(.answered) }
        // A probe that was taken ends the back-off of the probes; they measure nothing.
        feedback.answersProbe = flags.contains(.probing)
        if feedback.answersProbe { rtt.endBackOff() } else { rtt.noteProgress() }
        flags.remove(.probing)
        progressAt = context.now
        flags.subtract([.reportedTrouble, .more])
        pathCarried(number, context)
        recoverFrom(acknowledged: total, header, &feedback, &context)
        if hasSender, transmissions.isEmpty { transmissions.removeAll(at: number, &context) }
        offerRoom(context)
        if acknowledgesFin { finAcknowledged(&context) }
    }

    /// Our FIN is acknowledged (RFC 9293 §3.10.7.4, fifth).
    private mutating func finAcknowledged(_ context: inout Context) {
        switch state {
        case .finWait1:
            move(to: .finWait2, &context)
            if flags.contains(.released) { waitAsOrphan(&context) }
        case .closing: move(to: .timeWait, &context)
        case .lastAck: move(to: .closed, &context)
        default: break
        }
    }

    /// A round trip was measured (RFC 6298 §3, Karn): by what was sent only once, or, when segments were sent again, by the
    /// echoed timestamp (RFC 7323 §4).
    mutating func measureRoundTrip(_ header: TCPHeader, _ feedback: inout Feedback, _ context: borrowing Context) {
        guard !feedback.answersProbe else { return }
        let now = context.now.nanoseconds
        let perRoundTrip = max(1, Int64(feedback.inFlightBefore) / Int64(2 &* segmentSize))
        if let originals = feedback.delivery.originals {
            // Of what was sent last, which no delayed acknowledgment lengthens.
            feedback.roundTrip = max(1, now &- originals.last.nanoseconds)
            sender.state.noteLeast(feedback.roundTrip, context.now)
            if !feedback.delivery.hasRetransmission {
                noteHeldBack(feedback)
                rtt.add(sample: now &- originals.first.nanoseconds, weight: perRoundTrip)
                recovery.probe.hasMeasured = true
                return
            }
        }
        guard flags.contains(.timestamps), let echo = header.options.timestamps?.echo, echo != 0,
            feedback.acknowledged > 0
        else { return }
        let elapsed = Int32(bitPattern: timestampClock(context.now) &- echo)
        guard elapsed >= 0, elapsed < 600_000 else { return }
        // A peer that had the segment already echoes its first sending: that the acknowledgment was lost, and a timeout
        // waited for, is no round trip.
        if let again = feedback.delivery.retransmittedAt,
            now &- Int64(elapsed) &* 1_000_000 < again.nanoseconds &- 1_000_000
        {
            return
        }
        rtt.add(sample: max(1_000_000, Int64(elapsed) &* 1_000_000), weight: perRoundTrip)
        recovery.probe.hasMeasured = true
    }

    /// What the acknowledgment of a lone segment says of how long the peer holds those back (RFC 8985 §7.2). One of several
    /// segments, or of something out of order, is sent at once.
    private mutating func noteHeldBack(_ feedback: Feedback) {
        guard feedback.acknowledged > 0, feedback.acknowledged <= segmentSize, !feedback.hasSACK,
            recovery.phase == .open, rtt.smoothed > 0
        else { return }
        recovery.probe.noteDelay(feedback.roundTrip &- rtt.smoothed)
    }

    /// The handshake is complete on this side: the peer's window counts from here.
    mutating func establish(_ header: TCPHeader, _ context: inout Context) {
        context.forwardProgress &+= 1
        let isSyn = header.flags.contains(.syn)
        send.window = UInt32(header.window) &<< UInt32(isSyn ? 0 : send.scale)
        send.maximumWindow = max(send.maximumWindow, send.window)
        send.windowSequence = header.sequence
        send.windowAcknowledgment = header.acknowledgment
        if flags.contains(.timing) {
            // Karn: a SYN sent once times the round trip.
            flags.remove(.timing)
            if !flags.contains(.synRetransmitted) {
                let sample = context.now.nanoseconds &- sentAt.nanoseconds
                rtt.add(sample: sample)
            }
        }
        if flags.contains(.synRetransmitted) { rtt.startAfterLostSYN() }
        rtt.endBackOff()
        openPath(context)
        let control = Congestion(
            congestionControl, segmentSize: segmentSize, synWasLost: flags.contains(.synRetransmitted),
            initialSegments: context.parameters.initialSegments)
        idleWindow = control.window
        send.unacknowledged = send.initial + 1
        if send.next < send.unacknowledged { send.next = send.unacknowledged }
        retransmitAt = .distantFuture
        progressAt = context.now
        flags.subtract([.retransmit, .reportedTrouble])
        if flags.contains(.fastOpen) { finishFastOpen(header, &context) }
        if flags.contains(.synUnanswered) {
            flags.remove(.synUnanswered)
            if inFlight > 0 { retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters)) }
            return
        }
        answerHandshakeMark(&context)
        move(to: .established, &context)
        if flags.contains(.closeWanted) {
            flags.remove(.closeWanted)
            move(to: .finWait1, &context)
        }
    }
}
