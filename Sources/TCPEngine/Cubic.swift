package import TCPWire

/// CUBIC (RFC 9438): in congestion avoidance the window follows a cubic function of time, whose flat part lies at the
/// window that last was too large. Integers throughout: windows are octets, the function counts milliseconds.
package struct Cubic: SlowStarting, BitwiseCopyable, Sendable {
    package var window: UInt32
    package var threshold = UInt32(Int32.max)
    package var hyStart = HyStart()
    package var reducedWindow: UInt32 = 0
    /// W_max; zero while it is undefined: before the first loss (§4.10), and after a timeout (§4.8).
    package private(set) var maximum: UInt32 = 0
    /// cwnd_prior; zero before the threshold was first set.
    package private(set) var prior: UInt32 = 0
    /// K, in milliseconds.
    package private(set) var period: UInt32 = 0
    /// W_est.
    package private(set) var estimate: UInt32 = 0
    /// Whether the stage has begun. It does so with its first acknowledgment.
    package private(set) var isInEpoch = false
    /// What is left of `window`'s growth below one octet, in parts of `window`.
    package private(set) var remainder: UInt32 = 0
    /// The same of `estimate`, in parts of `window` · 17.
    package private(set) var estimateRemainder: UInt64 = 0
    /// t: the nanoseconds of this congestion avoidance stage in which the window was in use.
    package private(set) var elapsed: Int64 = 0
    /// When `elapsed` was last brought up to date.
    package private(set) var updatedAt = Instant.zero

    /// β_cubic, in percent (§4.6), and what RFC 8511 §3 has instead when a mark told of congestion.
    static let beta: UInt64 = 70
    static let betaECN: UInt64 = 85
    /// α_cubic = 3 (1 − β) / (1 + β) is 9/17 (§4.3).
    static let alpha: (numerator: UInt64, denominator: UInt64) = (9, 17)
    /// C is 0.4 segments/s³ (§5.1): one segment for so many cubic milliseconds.
    static let cubicMillisecondsPerSegment: UInt64 = 2_500_000_000
    /// No window is so small and no segment so short that the function is not past all bounds then; and this cubed fits.
    static let farthest: UInt64 = 1_500_000
    /// The longest time that is told apart, in nanoseconds.
    static let horizon: Int64 = 1 &<< 61

    /// RFC 6928 §2, RFC 5681 §3.1, as `NewReno`.
    package init(segmentSize: Int, synWasLost: Bool, initialSegments: Int = 0) {
        window =
            synWasLost
            ? segmentOctets(segmentSize)
            : Cubic.initialWindow(segmentSize: segmentSize, segments: initialSegments)
    }

    /// Octets arrived outside recovery, or while what a timeout found lost is repaired.
    package mutating func acknowledge(_ signal: CongestionSignal) {
        var octets = UInt32(clamping: signal.delivered)
        if isSlowStart {
            isInEpoch = false
            octets = slowStart(signal, octets)
        }
        guard !isSlowStart else { return }
        let size = segmentOctets(signal.segmentSize)
        if isInEpoch { advance(signal) } else { startEpoch(signal.now, size) }
        // No acknowledgment counts for more than the way to the target.
        octets = min(octets, window)
        // §5.8.
        guard signal.isWindowLimited, octets > 0 else { return }
        grow(octets, size, roundTrip: max(signal.smoothedRoundTrip, 0))
    }

    // MARK: The stage of congestion avoidance

    private mutating func startEpoch(_ now: Instant, _ size: UInt32) {
        isInEpoch = true
        elapsed = 0
        updatedAt = now
        // §4.8, §4.10: where W_max is undefined, or slow start went beyond it, it is cwnd, and K is zero.
        maximum = max(maximum, window)
        if prior == 0 { prior = window }
        // §4.2, figure 2.
        let volume = UInt64(maximum &- window) &* Cubic.cubicMillisecondsPerSegment / UInt64(size)
        period = Cubic.cubeRoot(volume)
        estimate = window
        remainder = 0
        estimateRemainder = 0
    }

    /// §4.2, §5.8: t leaves out the time in which the window was not in use. A window in use is acknowledged in part at
    /// least once a round trip; more time than that between two acknowledgments was a pause.
    private mutating func advance(_ signal: CongestionSignal) {
        guard signal.now > updatedAt else { return }
        let (difference, isTooLong) = signal.now.nanoseconds.subtractingReportingOverflow(updatedAt.nanoseconds)
        updatedAt = signal.now
        guard signal.isWindowLimited else { return }
        let roundTrip = max(signal.smoothedRoundTrip, signal.roundTrip)
        var spent = isTooLong ? Cubic.horizon : min(difference, Cubic.horizon)
        if roundTrip > 0 { spent = min(spent, roundTrip) }
        elapsed = min(elapsed &+ spent, Cubic.horizon)
    }

    private mutating func grow(_ octets: UInt32, _ size: UInt32, roundTrip: Int64) {
        growEstimate(octets, size)
        if curve(at: elapsed, size) < estimate {
            // §4.3, the Reno-friendly region. An acknowledgment never makes the window smaller.
            window = max(window, estimate)
            return
        }
        // §4.2: the window that the function has a round trip from now, no less than it is and no more than half as much
        // again. §4.4, §4.5: it takes a window of acknowledgments to get there.
        let next = elapsed &+ min(roundTrip, Cubic.horizon)
        let target = min(max(curve(at: next, size), window), window &+ window / 2)
        let growth = UInt64(target &- window) &* UInt64(octets) &+ UInt64(remainder)
        remainder = UInt32(growth % UInt64(window))
        window = min(window &+ UInt32(clamping: growth / UInt64(window)), maximumCongestionWindow)
    }

    /// §4.3, figure 4. Once at cwnd_prior, α is one.
    private mutating func growEstimate(_ octets: UInt32, _ size: UInt32) {
        let alpha = estimate < prior ? Cubic.alpha.numerator : Cubic.alpha.denominator
        let growth = UInt64(octets) &* UInt64(size) &* alpha &+ estimateRemainder
        let octetCost = UInt64(window) &* Cubic.alpha.denominator
        estimateRemainder = growth % octetCost
        estimate = UInt32(min(UInt64(estimate) &+ growth / octetCost, UInt64(maximumCongestionWindow)))
    }

    /// W_cubic after `time` nanoseconds of the stage (§4.2, figure 1). Milliseconds are fine enough: where K is long enough
    /// for the function to be steep, a millisecond of it is a small part of the window.
    package func curve(at time: Int64, _ size: UInt32) -> UInt32 {
        let distance = time / 1_000_000 &- Int64(period)
        let side = min(distance.magnitude, Cubic.farthest)
        let cube = side &* side &* side
        let unit = Cubic.cubicMillisecondsPerSegment
        let height = cube / unit &* UInt64(size) &+ cube % unit &* UInt64(size) / unit
        if distance < 0 { return maximum &- UInt32(min(height, UInt64(maximum))) }
        return UInt32(min(UInt64(maximum) &+ height, UInt64(maximumCongestionWindow)))
    }

    /// The whole part of the cube root, by Newton's method from above.
    static func cubeRoot(_ number: UInt64) -> UInt32 {
        guard number > 0 else { return 0 }
        let bits = UInt64.bitWidth &- number.leadingZeroBitCount
        var root: UInt64 = 1 &<< UInt64((bits &+ 2) / 3)
        while true {
            let next = (2 &* root &+ number / (root &* root)) / 3
            if next >= root { return UInt32(root) }
            root = next
        }
    }

    // MARK: Congestion

    /// Loss, or a mark, with `inFlight` octets sent and not acknowledged (FlightSize: those SACKed or lost count too).
    /// Recovery leads the window to the threshold.
    package mutating func reduce(inFlight: Int, segmentSize: Int, isECN: Bool, now: Instant) {
        // §4.7, fast convergence: a window that ends lower than the one before makes room for others.
        maximum = window < maximum ? UInt32(UInt64(window) &* (100 &+ Cubic.beta) / 200) : window
        // RFC 8511 §3: a mark counts for less in congestion avoidance. In slow start the window may be twice too large.
        let percent = isECN && !isSlowStart ? Cubic.betaECN : Cubic.beta
        lower(inFlight: inFlight, percent: percent, segmentSize: segmentSize, isECN: isECN)
        isInEpoch = false
    }

    /// §4.6, figure 5, has FlightSize. Of a window that is in use, that falls short by what is less than a segment: then
    /// cwnd is meant. It never grows while it is not in use, which §4.6 asks of those who take cwnd.
    private mutating func lower(inFlight: Int, percent: UInt64, segmentSize: Int, isECN: Bool) {
        prior = window
        let flight = UInt32(clamping: inFlight)
        let (sum, isMore) = flight.addingReportingOverflow(segmentOctets(segmentSize))
        lowerThreshold(
            flight: isMore || sum > window ? window : flight, percent: percent, segmentSize: segmentSize, isECN: isECN)
    }

    /// §4.8: the window is one segment, as RFC 5681 §3.1 has it; the threshold falls once for a window of data. W_max is
    /// then the window in which slow start ends.
    package mutating func timeout(inFlight: Int, segmentSize: Int, isFirst: Bool, now: Instant) {
        if isFirst { lower(inFlight: inFlight, percent: Cubic.beta, segmentSize: segmentSize, isECN: false) }
        window = segmentOctets(segmentSize)
        reducedWindow = 0
        maximum = 0
        isInEpoch = false
        hyStart.stop()
    }

    /// The last event was none (§4.9, RFC 4015 §3): all is as it was in `before`; except that a window which has grown past
    /// that one goes on with what it has (§4.9.2).
    package mutating func restore(_ before: Cubic) {
        if window <= before.window { self = before }
    }

    package mutating func endEpoch() { isInEpoch = false }
}
