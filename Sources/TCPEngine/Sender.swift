package import TCPWire

/// What a connection needs while it sends, and for a while afterwards: made with the first octet to send, gone when nothing
/// was in flight for long enough that nothing of it counts any more. An idle connection keeps its window and threshold.
package struct Sender {
    /// What is in flight, and what was lost of it.
    package var transmissions: Transmissions
    package var congestion: Congestion
    package var rack: Rack
    package var rate: DeliveryRate
    package var recovery: Recovery
    /// When what was overtaken counts as lost, or a tail loss probe is due (RFC 8985).
    package var lossAt = Instant.distantFuture
    /// Data may leave from then on.
    package var paceAt = Instant.zero
    package var duplicateAcknowledgments: UInt16 = 0
    /// FlightSize when the first of them came, in octets: what limited transmit sends later is not part of it.
    package var flightAtDuplicate: UInt32 = 0
    /// The end of the last segment sent that was smaller than the MSS (RFC 9293 appendix A.3).
    package var smallEnd: SequenceNumber
    /// Where what was sent last ended.
    package var sentEnd: SequenceNumber
    /// RACK.min_RTT, and when it was measured (RFC 8985 §6.2 step 1); zero before the first measurement.
    package private(set) var leastRoundTrip: Int64
    private var leastAt: Instant
    /// The most that was in flight since the window was last filled, and when that was, in milliseconds (RFC 2861 §3: W_used,
    /// T_prev); zero is not yet.
    package var usedWindow: UInt32 = 0
    package var windowFilledAt: UInt32 = 0

    /// `roundTrip` is what is known of it so far, in nanoseconds; zero is nothing.
    init(at next: SequenceNumber, _ congestion: Congestion, roundTrip: Int64 = 0, now: Instant) {
        smallEnd = next
        sentEnd = next
        leastRoundTrip = roundTrip
        leastAt = now
        transmissions = Transmissions(at: next)
        self.congestion = congestion
        rack = Rack(at: next)
        rate = DeliveryRate(now: now)
        // RFC 6582 §3.2: what lies before was not sent in any recovery.
        recovery = Recovery(at: next + -1)
    }

    /// RFC 8985 §6.2 step 1: a filter of five minutes, for paths change.
    mutating func noteLeast(_ sample: Int64, _ now: Instant) {
        guard
            leastRoundTrip == 0 || sample <= leastRoundTrip
                || now.nanoseconds &- leastAt.nanoseconds > 300_000_000_000
        else { return }
        leastRoundTrip = sample
        leastAt = now
    }

    /// Nothing of it was used: what stands for the sender of a connection that has none.
    package var isPristine: Bool {
        transmissions.isEmpty && transmissions.cost == 0 && recovery.phase == .open && recovery.undo == nil
            && recovery.departed == 0 && lossAt == .distantFuture && paceAt == .zero && windowFilledAt == 0
            && congestion.cost == 0
            && rate.delivered == 0 && rate.appLimited == 0
    }
}

extension Connection {
    package var hasSender: Bool { sender.isOwned }

    /// cwnd and ssthresh in octets.
    package var congestionWindow: UInt32 { hasSender ? congestion.window : idleWindow }
    package var slowStartThreshold: UInt32 { hasSender ? congestion.threshold : idleThreshold }

    /// Sees to a sender; `false` when the budget has no room for one.
    mutating func makeSender(_ context: inout Context) -> Bool {
        if hasSender { return true }
        guard let made = context.senders.take(&context.budget) else { return false }
        context.recoveryBytes &+= SenderPool.cost
        sender = made
        var control = Congestion(congestionControl, segmentSize: segmentSize, synWasLost: false)
        control.resume(window: idleWindow, threshold: idleThreshold)
        made.start(Sender(at: send.next, control, roundTrip: rtt.smoothed, now: context.now))
        beginModel(&context)
        return true
    }

    /// The program chose another control: it goes on with the window there is, and what the one before it would have taken back
    /// of a recovery stays as it is.
    package mutating func change(to control: CongestionControl, _ context: inout Context) {
        guard control != congestionControl else { return }
        congestionControl = control
        guard hasSender else { return }
        dropUndo(&context)
        context.budget.release(congestion.cost)
        context.recoveryBytes &-= congestion.cost
        congestion = congestion.changed(to: control, segmentSize: segmentSize)
        beginModel(&context)
        pace(0, context)
    }

    /// BBR, if it is chosen and there is memory for it.
    private mutating func beginModel(_ context: inout Context) {
        guard congestionControl == .bbr, context.budget.reserve(Congestion.modelCost) else { return }
        context.recoveryBytes &+= Congestion.modelCost
        congestion.beginModel(
            segmentSize: segmentSize, smoothedRoundTrip: rtt.smoothed,
            random: (timestampOffset ^ send.initial.rawValue) &* 0x9E37_79B9,
            hasSelectiveAcknowledgments: flags.contains(.sack), now: context.now)
    }

    private mutating func endModel(_ context: inout Context) {
        context.budget.release(congestion.cost)
        context.recoveryBytes &-= congestion.cost
        idleWindow = congestion.window
        congestion.endModel()
    }

    /// Gives the sender back, and keeps what an idle connection needs of it.
    package mutating func dropSender(_ context: inout Context) {
        guard hasSender else { return }
        dropUndo(&context)
        idleThreshold = congestion.threshold
        endModel(&context)
        transmissions.removeAll(at: send.next, &context)
        flags.subtract([.tailProbe, .tailProbeTimer])
        context.recoveryBytes &-= SenderPool.cost
        context.senders.giveBack(sender, &context.budget)
        sender = context.senders.none
    }

    /// When nothing of an idle connection's sender counts any more: after a timeout the window starts over anyway (RFC 5681
    /// §4.1), and after ten seconds so does what BBR knows of the path (draft-ietf-ccwg-bbr §2.16.1).
    func idleAt(_ context: borrowing Context) -> Instant {
        guard hasSender, inFlight == 0, !hasMore else { return .distantFuture }
        let wait = congestion.cost > 0 ? 10_000_000_000 : max(1_000_000_000, rtt.timeout(context.parameters))
        return max(sentAt, progressAt).advanced(byNanoseconds: wait)
    }
}

// What is in the sender, read and written where it is.
extension Connection {
    package var transmissions: Transmissions {
        @inline(__always) _read { yield sender.state.transmissions }
        @inline(__always) nonmutating _modify { yield &sender.state.transmissions }
    }

    package var congestion: Congestion {
        @inline(__always) _read { yield sender.state.congestion }
        @inline(__always) nonmutating _modify { yield &sender.state.congestion }
    }

    package var rack: Rack {
        @inline(__always) _read { yield sender.state.rack }
        @inline(__always) nonmutating _modify { yield &sender.state.rack }
    }

    package var rate: DeliveryRate {
        @inline(__always) _read { yield sender.state.rate }
        @inline(__always) nonmutating _modify { yield &sender.state.rate }
    }

    package var recovery: Recovery {
        @inline(__always) _read { yield sender.state.recovery }
        @inline(__always) nonmutating _modify { yield &sender.state.recovery }
    }

    package var duplicateAcknowledgments: UInt16 {
        @inline(__always) get { sender.state.duplicateAcknowledgments }
        @inline(__always) nonmutating set { sender.state.duplicateAcknowledgments = newValue }
    }

    package var flightAtDuplicate: UInt32 {
        @inline(__always) get { sender.state.flightAtDuplicate }
        @inline(__always) nonmutating set { sender.state.flightAtDuplicate = newValue }
    }

    package var smallEnd: SequenceNumber {
        @inline(__always) get { sender.state.smallEnd }
        @inline(__always) nonmutating set { sender.state.smallEnd = newValue }
    }

    package var sentEnd: SequenceNumber {
        @inline(__always) get { sender.state.sentEnd }
        @inline(__always) nonmutating set { sender.state.sentEnd = newValue }
    }

    /// RACK.min_RTT in nanoseconds; an idle connection remembers what it is about. Zero before the first measurement.
    package var leastRoundTrip: Int64 { hasSender ? sender.state.leastRoundTrip : rtt.smoothed }

    package var lossAt: Instant {
        @inline(__always) get { sender.state.lossAt }
        @inline(__always) nonmutating set { sender.state.lossAt = newValue }
    }

    package var paceAt: Instant {
        @inline(__always) get { sender.state.paceAt }
        @inline(__always) nonmutating set { sender.state.paceAt = newValue }
    }

    package var usedWindow: UInt32 {
        @inline(__always) get { sender.state.usedWindow }
        @inline(__always) nonmutating set { sender.state.usedWindow = newValue }
    }

    package var windowFilledAt: UInt32 {
        @inline(__always) get { sender.state.windowFilledAt }
        @inline(__always) nonmutating set { sender.state.windowFilledAt = newValue }
    }
}
