package import TCPWire

/// Which congestion control a connection uses.
public enum CongestionControl: UInt8, Sendable, CaseIterable {
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406): the default.
    case cubic
    /// NewReno (RFC 5681, RFC 6582) with HyStart++.
    case newReno
    /// BBR, version 3 (draft-ietf-ccwg-bbr).
    case bbr
}

/// What one acknowledgment tells congestion control. Counts are octets, times nanoseconds.
package struct CongestionSignal {
    package var now: Instant
    /// Octets newly acknowledged by SEG.ACK.
    package var acknowledged = 0
    /// Octets newly known to have arrived, by SEG.ACK or by SACK: RFC 9937's DeliveredData.
    package var delivered = 0
    /// Octets that this acknowledgment showed to be lost.
    package var lost = 0
    /// Octets believed to be in the network before it, and after.
    package var inFlightBefore = 0
    package var inFlight = 0
    /// The round trip that it measured; zero when it measured none.
    package var roundTrip: Int64 = 0
    /// SRTT; zero before the first measurement.
    package var smoothedRoundTrip: Int64 = 0
    /// Whether the congestion window is what held the sender back: an unused window proves nothing (RFC 7661 §4.1).
    package var isWindowLimited = true
    /// Whether losses are being repaired.
    package var isInRecovery = false
    /// The sender's SMSS.
    package var segmentSize: Int
    /// The most segments one acknowledgment may count for in slow start (RFC 3465 §2.2, §2.3); zero is no limit.
    package var segmentLimit = 2
    /// SND.UNA after it, and SND.NXT.
    package var unacknowledged = SequenceNumber(0)
    package var next = SequenceNumber(0)

    package init(now: Instant, segmentSize: Int) {
        self.now = now
        self.segmentSize = segmentSize
    }
}
