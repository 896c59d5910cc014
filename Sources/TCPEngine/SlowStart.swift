/// What NewReno and CUBIC have in common: the initial window, slow start with HyStart++, and what becomes of a window that
/// was not used. Windows are octets.
package protocol SlowStarting {
    /// cwnd.
    var window: UInt32 { get set }
    /// ssthresh.
    var threshold: UInt32 { get set }
    /// How slow start may end before anything is lost.
    var hyStart: HyStart { get set }
    /// What ECN leaves of a window of hardly two segments, less than `threshold` can be; zero when that is not so.
    var reducedWindow: UInt32 { get set }
    /// The window became another than acknowledgments made it: what was counted for its growth is void.
    mutating func endEpoch()
}

/// The largest window: what RFC 7323 §2.3 lets a peer offer.
package let maximumCongestionWindow: UInt32 = 1 &<< 30

extension SlowStarting {
    /// RFC 5681 §3.1 leaves open what a window that equals the threshold does: here it is congestion avoidance, so that
    /// recovery ends in it.
    package var isSlowStart: Bool { window < threshold }

    /// IW: ten segments (RFC 6928 §2), or as many as `segments` says when that is not zero.
    static func initialWindow(segmentSize: Int, segments: Int) -> UInt32 {
        let size = segmentOctets(segmentSize)
        if segments > 0 { return UInt32(min(segments, 1 &<< 14)) &* size }
        return min(10 &* size, max(2 &* size, 14600))
    }

    /// Grows the window in slow start by `octets` that arrived, and says how many of them are left for congestion
    /// avoidance.
    mutating func slowStart(_ signal: CongestionSignal, _ octets: UInt32) -> UInt32 {
        // RFC 9406 §4.2 looks at round trips whether the window grows or not.
        let growth = hyStart.growth(limited(octets, signal))
        let hasEnded = hyStart.note(signal)
        var left: UInt32 = 0
        if signal.isWindowLimited {
            let room = threshold &- window
            left = growth < room ? 0 : octets &- min(octets, room)
            window = min(window &+ min(growth, room), maximumCongestionWindow)
        }
        // RFC 9406 §4.2: congestion avoidance begins here.
        if hasEnded { threshold = window }
        return left
    }

    /// RFC 3465 §2.2, §2.3, RFC 9406 §4.2: one acknowledgment counts for so many segments at most.
    private func limited(_ octets: UInt32, _ signal: CongestionSignal) -> UInt32 {
        guard signal.segmentLimit > 0 else { return octets }
        return min(octets, UInt32(min(signal.segmentLimit, 1 &<< 14)) &* segmentOctets(signal.segmentSize))
    }

    /// Congestion: what is left of `flight` is the threshold, of two segments at least (RFC 5681 §3.1 (4), RFC 9438 §4.6).
    mutating func lowerThreshold(flight: UInt32, percent: UInt64, segmentSize: Int, isECN: Bool) {
        let size = segmentOctets(segmentSize)
        threshold = min(max(UInt32(UInt64(flight) &* percent / 100), 2 &* size), maximumCongestionWindow)
        // RFC 9438 §4.6, RFC 3168 §6.1.2: marks take the window down to one segment.
        let left = max(UInt32(UInt64(window) &* percent / 100), size)
        reducedWindow = isECN && left < threshold ? left : 0
        hyStart.stop()
    }

    /// Recovery is over, and the window at the threshold.
    package mutating func endRecovery(segmentSize: Int) {
        guard reducedWindow > 0 else { return }
        window = min(window, max(reducedWindow, segmentOctets(segmentSize)))
        reducedWindow = 0
    }

    /// Nothing was sent for `idle` nanoseconds, with a retransmission timeout of `rto`. RFC 2861 §3: for each timeout the
    /// window halves, down to the restart window (RFC 5681 §4.1). The threshold remembers it.
    package mutating func restartAfterIdle(segmentSize: Int, initialSegments: Int, idle: Int64, rto: Int64) {
        let halvings = idle / max(rto, 1)
        guard halvings > 0 else { return }
        remember()
        let restart = min(window, Self.initialWindow(segmentSize: segmentSize, segments: initialSegments))
        window = max(window &>> UInt32(min(halvings, 31)), restart)
        hyStart.restart()
        endEpoch()
    }

    /// For longer than a retransmission timeout no more than `used` octets were in flight, because there was no more to
    /// send. RFC 2861 §3: half of what was not used is given up; not what a restart would leave (RFC 5681 §4.1).
    package mutating func validate(used: Int, segmentSize: Int, initialSegments: Int = 0) {
        let used = min(UInt32(clamping: used), window)
        guard used < window else { return }
        remember()
        let restart = min(window, Self.initialWindow(segmentSize: segmentSize, segments: initialSegments))
        window = max((window &+ used) / 2, restart)
        endEpoch()
    }

    /// RFC 2861 §3: slow start leads back to three quarters of the window.
    private mutating func remember() { threshold = max(threshold, window &- window / 4) }
}

/// SMSS as an octet count that products of windows have room for.
@inline(__always)
func segmentOctets(_ segmentSize: Int) -> UInt32 { UInt32(min(max(segmentSize, 1), 65_535)) }
