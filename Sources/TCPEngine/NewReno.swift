package import TCPWire

/// Congestion control of RFC 5681: slow start, and congestion avoidance with appropriate byte counting (RFC 3465).
package struct NewReno: SlowStarting, BitwiseCopyable, Sendable {
    package var window: UInt32
    package var threshold = UInt32(Int32.max)
    package var hyStart = HyStart()
    package var reducedWindow: UInt32 = 0
    /// Octets that arrived since the window last grew in congestion avoidance: bytes_acked of RFC 3465 §2.1.
    package private(set) var acknowledged: UInt32 = 0

    /// The initial window of ten segments (RFC 6928 §2); one segment after a lost SYN (RFC 5681 §3.1).
    /// `initialSegments` is another number of segments, zero for RFC 6928's.
    package init(segmentSize: Int, synWasLost: Bool, initialSegments: Int = 0) {
        window =
            synWasLost
            ? segmentOctets(segmentSize)
            : NewReno.initialWindow(segmentSize: segmentSize, segments: initialSegments)
    }

    /// Octets arrived outside recovery, or while what a timeout found lost is repaired.
    package mutating func acknowledge(_ signal: CongestionSignal) {
        var octets = UInt32(clamping: signal.delivered)
        if isSlowStart { octets = slowStart(signal, octets) }
        guard !isSlowStart, signal.isWindowLimited else { return }
        // RFC 5681 §3.1, RFC 3465 §2.1: one segment for each window that arrived.
        acknowledged = min(acknowledged, window) &+ min(octets, window)
        if acknowledged >= window {
            acknowledged &-= window
            window = min(window &+ segmentOctets(signal.segmentSize), maximumCongestionWindow)
        }
    }

    /// Loss, or a mark, with `inFlight` octets sent and not acknowledged (FlightSize: those SACKed or lost count too).
    /// Recovery leads the window to the threshold.
    package mutating func reduce(inFlight: Int, segmentSize: Int, isECN: Bool, now: Instant) {
        // RFC 5681 §3.1 (4): half of what was in flight, not of cwnd. RFC 8511 §3: four fifths for a mark, in
        // congestion avoidance.
        lowerThreshold(
            flight: UInt32(clamping: inFlight), percent: isECN && !isSlowStart ? 80 : 50, segmentSize: segmentSize,
            isECN: isECN)
        acknowledged = 0
    }

    /// RFC 5681 §3.1: the loss window is one segment. The threshold falls once for a window of data.
    package mutating func timeout(inFlight: Int, segmentSize: Int, isFirst: Bool, now: Instant) {
        if isFirst { reduce(inFlight: inFlight, segmentSize: segmentSize, isECN: false, now: now) }
        window = segmentOctets(segmentSize)
        reducedWindow = 0
        acknowledged = 0
        hyStart.stop()
    }

    /// The last event was none (RFC 4015 §3): all is as it was in `before`, and the window no smaller than it is.
    package mutating func restore(_ before: NewReno) {
        let window = max(window, before.window)
        self = before
        self.window = window
    }

    package mutating func endEpoch() { acknowledged = 0 }
}
