/// Congestion control (RFC 5681): slow start and congestion avoidance with appropriate byte counting (RFC 3465). All
/// windows are octets. Another control has the same handful of functions.
package struct NewReno {
    /// cwnd.
    package var window: UInt32
    /// ssthresh.
    package var threshold: UInt32
    /// Octets acknowledged since the window last grew in congestion avoidance.
    private(set) var acknowledged: UInt32 = 0

    /// The initial window of ten segments (RFC 6928 §2); one segment after a lost SYN (RFC 5681 §3.1).
    /// `initialSegments` is another number of segments, zero for RFC 6928's.
    package init(segmentSize: Int, synWasLost: Bool, initialSegments: Int = 0) {
        let size = UInt32(segmentSize)
        let initial =
            initialSegments > 0
            ? UInt32(clamping: initialSegments &* segmentSize) : min(10 &* size, max(2 &* size, 14600))
        window = synWasLost ? size : initial
        threshold = UInt32(Int32.max)
    }

    package var isSlowStart: Bool { window < threshold }

    /// New data was acknowledged outside recovery. `limit` is the most segments one acknowledgment may count for in slow
    /// start (RFC 3465 §2.2, RFC 9406 §4.2).
    package mutating func acknowledge(_ bytes: Int, segmentSize: Int, limit: Int) {
        let size = UInt32(segmentSize)
        var bytes = UInt32(clamping: bytes)
        if isSlowStart {
            let growth = min(bytes, UInt32(limit) &* size, threshold &- window)
            window = min(window &+ growth, NewReno.maximum)
            bytes &-= min(bytes, growth)
            if isSlowStart { return }
        }
        // RFC 5681 §3.1: one segment for each window acknowledged.
        acknowledged = acknowledged &+ bytes
        if acknowledged >= window {
            acknowledged &-= window
            window = min(window &+ size, NewReno.maximum)
        }
        acknowledged = min(acknowledged, window)
    }

    private static let maximum: UInt32 = 1 &<< 30

    /// RFC 5681 §3.1 (4): half of what was in flight, not of cwnd.
    package static func thresholdAfterLoss(inFlight: Int, segmentSize: Int) -> UInt32 {
        UInt32(clamping: max(inFlight / 2, 2 &* segmentSize))
    }

    /// Fast retransmit: RFC 5681 §3.2 (2).
    package mutating func enterRecovery(inFlight: Int, segmentSize: Int) {
        threshold = NewReno.thresholdAfterLoss(inFlight: inFlight, segmentSize: segmentSize)
        window = threshold
        acknowledged = 0
    }

    /// RFC 5681 §3.1: the loss window is one segment. The threshold falls once for a window of data.
    package mutating func timeout(inFlight: Int, segmentSize: Int, isFirst: Bool) {
        if isFirst { threshold = NewReno.thresholdAfterLoss(inFlight: inFlight, segmentSize: segmentSize) }
        window = UInt32(segmentSize)
        acknowledged = 0
    }

    /// RFC 5681 §4.1: after an idle time longer than the RTO the window starts over.
    package mutating func restartAfterIdle(segmentSize: Int, initialSegments: Int) {
        let restart = NewReno(segmentSize: segmentSize, synWasLost: false, initialSegments: initialSegments)
        window = min(window, restart.window)
    }
}
