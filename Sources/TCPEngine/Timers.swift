package import TCPWire

// Time passes (RFC 9293 §3.8.3, §3.8.4, §3.8.6, §3.10.8).
extension Connection {
    /// Whether something is sent, or waits to be, that the peer has not answered.
    var isWaitingForPeer: Bool {
        state == .synSent || state == .synReceived || inFlight > 0 || retransmitAt != .distantFuture
    }

    /// R2 in nanoseconds (RFC 9293 §3.8.3); `nil` is never.
    func giveUpAfter(_ context: borrowing Context) -> Int64? {
        // A connection that nobody holds ends some time, whatever its program wanted.
        if userTimeout == .max { return isReleased ? context.parameters.userTimeout : nil }
        if userTimeout > 0 { return Int64(userTimeout) &* 1_000_000 }
        return state == .synSent || state == .synReceived
            ? context.parameters.openTimeout : context.parameters.userTimeout
    }

    /// A shut window whose last probe was answered: the peer lives, and what waits may wait (RFC 9293 MUST-37).
    private var isWindowHeldShut: Bool {
        isSynAcknowledged && send.window == 0 && rtt.expirations == 0
    }

    /// When R2 has passed.
    private func giveUpAt(_ context: borrowing Context) -> Instant {
        guard isWaitingForPeer else { return .distantFuture }
        let held = holdEndsAt(context)
        guard !isWindowHeldShut, let limit = giveUpAfter(context) else { return held }
        return min(held, max(progressAt, unansweredAt).advanced(byNanoseconds: limit))
    }

    /// RFC 6429 §3, RFC 9293 §3.8.6.1: a peer that answers probes and never opens its window is kept as long as the
    /// configuration says; one whose program has let go, for R2, as nobody else could end it.
    private func holdEndsAt(_ context: borrowing Context) -> Instant {
        guard isSynAcknowledged, send.window == 0 else { return .distantFuture }
        let limit = context.parameters.zeroWindowTimeout
        return progressAt.advanced(
            byNanoseconds: flags.contains(.released) ? min(limit, context.parameters.userTimeout) : limit)
    }

    private var keepAliveAt: Instant {
        // In FIN-WAIT-2 it is the peer that is waited for, and nothing else would tell that it is gone.
        guard flags.contains(.keepAlive), state == .established || state == .closeWait || state == .finWait2,
            !isWaitingForPeer, unsent == 0
        else { return .distantFuture }
        let wait = Int64(keepAliveIdle) &+ Int64(keepAliveProbes) &* Int64(keepAliveInterval)
        return heardAt.advanced(byNanoseconds: wait &* 1_000_000)
    }

    /// When `fireTimers` is next wanted.
    package func nextDeadline(_ context: borrowing Context) -> Instant {
        if state == .closed || state == .timeWait { return .distantFuture }
        let sending = min(min(retransmitAt, lossAt), releaseAt(context))
        let waiting = min(min(orphanAt, keepAliveAt), idleAt(context))
        return min(giveUpAt(context), min(min(sending, acknowledgeAt), waiting))
    }

    /// When pacing lets the next segment go, if nothing else holds it.
    private func releaseAt(_ context: borrowing Context) -> Instant {
        guard paceAt > context.now, isSynAcknowledged, hasMore, Int(congestion.window) &- pipe >= segmentSize,
            transmissions.lostOctets > 0 || windowRoom > 0
        else { return .distantFuture }
        return paceAt
    }

    /// Does what is due.
    package mutating func fireTimers(_ context: inout Context) {
        let now = context.now
        if state == .closed || state == .timeWait { return }
        if acknowledgeAt <= now {
            acknowledgeAt = .distantFuture
            flags.insert(.acknowledgeNow)
        }
        if orphanAt <= now {
            orphanAt = .distantFuture
            // Octets are lost, and the peer, which answers, must know (RFC 9293 §3.10.5).
            if state != .finWait2 { context.bareReset = send.next }
            move(to: .closed, &context)
            return
        }
        if holdEndsAt(context) <= now, isWaitingForPeer {
            // This peer lives, and is told.
            context.bareReset = send.next
            fail(.timedOut, &context)
            return
        }
        if giveUpAt(context) <= now {
            // RFC 9293 §3.10.8, USER TIMEOUT. A soft error is told now (RFC 5461 §3).
            fail(flags.contains(.softError) ? .unreachable : .timedOut, &context)
            return
        }
        if lossAt <= now {
            if flags.contains(.tailProbeTimer) { tailProbeExpired(context) } else { reorderingTimerExpired(&context) }
        }
        if retransmitAt <= now { retransmissionTimerExpired(&context) }
        if idleAt(context) <= now { dropSender(&context) }
        if keepAliveAt <= now { keepAliveExpired(&context) }
    }

    private mutating func retransmissionTimerExpired(_ context: inout Context) {
        if state == .synSent || state == .synReceived || flags.contains(.synUnanswered) {
            flags.insert(.retransmit)
        } else if send.window == 0 {
            // The first probe since the last answer: from here it may go unanswered.
            if rtt.expirations == 0 { unansweredAt = context.now }
            flags.insert(.probe)
        } else if inFlight == 0 {
            flags.insert(.overrideSWS)
        } else {
            if !believeWaitingReport(context) { noteTimeout(&context) }
            retransmissionTimeout(&context)
        }
        rtt.backOff()
        retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        // RFC 9293 SHLD-9, SHLD-10: R1 is three retransmissions.
        if rtt.expirations >= 3, !flags.contains(.reportedTrouble), send.window > 0 || !isSynchronized {
            flags.insert(.reportedTrouble)
            changes.insert(.troubled)
        }
    }

    /// RFC 9293 §3.8.4.
    private mutating func keepAliveExpired(_ context: inout Context) {
        guard keepAliveProbes < keepAliveLimit else {
            fail(.timedOut, &context)
            return
        }
        keepAliveProbes &+= 1
        flags.insert(.keepAliveProbe)
    }

    /// ICMP reports trouble about a segment of ours with this sequence number (RFC 9293 §3.9.2.2, RFC 5927 §4).
    /// `pathSegmentSize` is what the path takes as a "packet too big" has it: octets of payload and TCP options.
    package mutating func receive(
        _ report: ICMPError, about sequence: SequenceNumber, pathSegmentSize: Int, _ context: inout Context
    ) {
        // Only a segment in flight can have met the error.
        guard sequence >= send.unacknowledged, sequence < send.next else { return }
        if report == .hard, state == .synSent {
            fail(.unreachable, &context)
            return
        }
        if report == .packetTooBig {
            pathReports(pathSegmentSize, about: sequence, &context)
            return
        }
        flags.insert(.softError)
        changes.insert(.troubled)
    }

    /// Sets what a program chooses for its connection.
    package mutating func setKeepAlive(idle: UInt32?, interval: UInt32, probes: Int, _ context: borrowing Context) {
        if let idle {
            if !flags.contains(.keepAlive) { heardAt = context.now }
            flags.insert(.keepAlive)
            keepAliveIdle = idle
            keepAliveInterval = interval
            keepAliveLimit = UInt8(clamping: max(2, probes))
        } else {
            flags.remove(.keepAlive)
        }
        keepAliveProbes = 0
    }

    package var noDelay: Bool {
        get { flags.contains(.noDelay) }
        set { if newValue { flags.insert(.noDelay) } else { flags.remove(.noDelay) } }
    }

    package var isCorked: Bool {
        get { flags.contains(.corked) }
        set { if newValue { flags.insert(.corked) } else { flags.remove(.corked) } }
    }

    /// The next `count` acknowledgments do not wait, nor does the one that waits now.
    package mutating func acknowledgeQuickly(_ count: UInt8) {
        quickAcknowledgments = count
        if count > 0, acknowledgeAt != .distantFuture {
            acknowledgeAt = .distantFuture
            flags.insert(.acknowledgeNow)
        }
    }

    package var isReleased: Bool { flags.contains(.released) }
    package var usesTimestamps: Bool { flags.contains(.timestamps) }
    package var usesSACK: Bool { flags.contains(.sack) }
    package var usesScaling: Bool { flags.contains(.peerScales) }
    package var owesAcknowledgment: Bool { flags.contains(.acknowledgeNow) }

    /// Takes what changed since the last call.
    package mutating func takeChanges() -> Changes {
        let taken = changes
        changes = []
        return taken
    }
}
