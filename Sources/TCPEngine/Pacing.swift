import TCPWire

// Pacing: what the window allows leaves over the round trip, not all at once (RFC 9002 §7.7 puts it for QUIC; RFC 9438 and
// RFC 9406 §5 count on it). The caller is told by `nextDeadline` when the next may go.
extension Connection {
    /// Octets a second; zero is no pacing. Twice the window in a round trip in slow start, so that it can double; a fifth
    /// more than the window later, so that acknowledgments stay what clocks it.
    package func pacingRate(_ context: borrowing Context) -> UInt64 {
        let rate = controlledRate(context)
        guard pacingLimit > 0 else { return rate }
        return rate == 0 ? UInt64(pacingLimit) : min(rate, UInt64(pacingLimit))
    }

    /// The most octets a second from now on; zero is without limit.
    package mutating func limitPacing(to rate: UInt32, _ context: borrowing Context) {
        guard rate != pacingLimit else { return }
        pacingLimit = rate
        if hasSender { paceAt = min(paceAt, context.now) }
    }

    private func controlledRate(_ context: borrowing Context) -> UInt64 {
        if let rate = congestion.pacingRate { return rate }
        guard context.parameters.paces, rtt.smoothed > 0 else { return 0 }
        // In recovery the window is what is to be sent in a round trip: more would meet the queue that overflowed.
        let fifths: UInt64 = recovery.reducesWindow ? 5 : congestionWindow < slowStartThreshold ? 10 : 6
        let window = UInt64(congestionWindow) &* fifths / 5
        // 2³² octets in a nanosecond are less than 2⁶³ a second.
        return window &* 1_000_000_000 / UInt64(rtt.smoothed)
    }

    /// Whether new or old data may leave now.
    func isPacedOut(_ now: Instant) -> Bool { paceAt <= now }

    /// The most a super-segment may hold: what leaves in a millisecond, at least two segments.
    func pacedLimit(_ limit: Int, size: Int, _ context: borrowing Context) -> Int {
        let rate = pacingRate(context)
        guard rate > 0, limit > size else { return limit }
        return min(limit, max(2 &* size, Int(clamping: rate / 1000) / size &* size))
    }

    /// `octets` leave: the next may when these had their time. What was not used stays good, up to a few segments or what
    /// passes while a timer waits for its tick; after a silence, and in slow start, whose acknowledgments come in bunches, up
    /// to an initial window (RFC 6928 §2, RFC 9002 §7.7).
    mutating func pace(_ octets: Int, _ context: borrowing Context) {
        let rate = pacingRate(context)
        guard rate > 0 else {
            paceAt = .zero
            return
        }
        // The one that is due leaves besides.
        let initial = (max(10, context.parameters.initialSegments) &- 1) &* segmentSize
        let isSlowStart = congestion.pacingRate == nil && congestion.isSlowStart && recovery.phase == .open
        let burst = max(4 &* segmentSize, isSlowStart ? initial : initial &- pipe, Int(clamping: rate / 2048))
        let earliest = context.now.advanced(byNanoseconds: -time(burst, at: rate))
        paceAt = max(paceAt, earliest).advanced(byNanoseconds: time(octets, at: rate))
    }

    private func time(_ octets: Int, at rate: UInt64) -> Int64 {
        Int64(clamping: UInt64(octets) &* 1_000_000_000 / rate)
    }
}
