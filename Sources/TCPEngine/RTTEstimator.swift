import TCPWire

/// The retransmission timeout (RFC 6298). Times are nanoseconds.
package struct RTTEstimator {
    /// SRTT; zero before the first measurement.
    package private(set) var smoothed: Int64 = 0
    /// RTTVAR.
    package private(set) var variation: Int64 = 0
    /// How often the timeout was doubled since the last measurement.
    package private(set) var backoff: UInt8 = 0
    /// Timeouts since new data was acknowledged.
    package private(set) var expirations: UInt8 = 0
    /// Whether our SYN had to be sent again.
    private(set) var synWasLost = false

    /// The clock's granularity G: the timing wheel's tick.
    static let granularity: Int64 = 131_072

    package init() {}

    /// RFC 6298 §2.2, §2.3. `weight` spreads several samples of one round trip (RFC 7323 §4.1, appendix G): each counts
    /// as that fraction of one.
    package mutating func add(sample: Int64, weight: Int64 = 1) {
        let sample = max(sample, 1)
        // RFC 6298 §5.7: a measurement, and nothing less, brings the timeout down from its back-off.
        backoff = 0
        if smoothed == 0 {
            smoothed = sample
            variation = sample / 2
            return
        }
        variation += (abs(smoothed &- sample) &- variation) / (4 &* weight)
        smoothed = max(1, smoothed &+ (sample &- smoothed) / (8 &* weight))
    }

    /// The timeout, backed off, within the bounds of `parameters`.
    package func timeout(_ parameters: borrowing Parameters) -> Int64 {
        let base =
            smoothed == 0
            ? max(parameters.initialRTO, synWasLost ? 3_000_000_000 : 0)
            : max(parameters.minimumRTO, smoothed &+ max(RTTEstimator.granularity, 4 &* variation))
        return min(min(base, parameters.maximumRTO) &<< Int64(min(backoff, 16)), parameters.maximumRTO)
    }

    /// RFC 6298 §5.5.
    package mutating func backOff() {
        if backoff < .max { backoff &+= 1 }
        if expirations < .max { expirations &+= 1 }
    }

    /// New data was acknowledged. What it took to get there is not known (Karn): the timeout stays as it is.
    package mutating func noteProgress() { expirations = 0 }

    /// A phase of its own ended, the handshake or a shut window: the back-off was for that.
    package mutating func endBackOff() {
        backoff = 0
        expirations = 0
    }

    /// RFC 6298 §5.7: after a SYN was lost the timeout of data starts at three seconds.
    package mutating func startAfterLostSYN() { synWasLost = true }
}
