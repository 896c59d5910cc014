/// How a queue tells senders that it grows, before it is full: by setting Congestion Experienced in the IP header of packets
/// that declare themselves ECN-capable (RFC 3168 §5). What counts is the backlog that a packet finds, in octets, as it is at
/// that moment and not on average.
public struct QueueMarking: Sendable, Hashable {
    /// What becomes of a packet that is to be marked, and is not ECN-capable.
    public enum Incapable: UInt8, Sendable {
        /// It is dropped, as RFC 3168 §5 has it.
        case drops
        /// It passes; only a full queue drops it.
        case passes
    }

    /// A packet that finds no more octets than this is never marked.
    public var threshold: Int
    /// One that finds more than this is always marked: at least `threshold`.
    public var ceiling: Int
    /// The probability just below the ceiling, 0...1, from zero at the threshold on.
    public var probability: Double
    /// What becomes of packets that cannot be marked.
    public var incapable: Incapable

    /// Marks every packet that finds more than `threshold` octets, as queues do for DCTCP (RFC 8257 §3.1) and L4S.
    public static func step(at threshold: Int, incapable: Incapable = .drops) -> QueueMarking {
        QueueMarking(threshold: threshold, ceiling: threshold, probability: 1, incapable: incapable)
    }

    /// Marks by a probability that rises from zero at `threshold` octets to `probability` at `ceiling`, and every packet
    /// past that, as Random Early Detection does.
    public static func ramp(
        from threshold: Int, to ceiling: Int, probability: Double, incapable: Incapable = .drops
    ) -> QueueMarking {
        QueueMarking(
            threshold: threshold, ceiling: max(threshold, ceiling), probability: probability, incapable: incapable)
    }

    /// The probability that a packet which finds `backlog` octets is marked.
    func probability(at backlog: Int) -> Double {
        if backlog <= threshold { return 0 }
        if backlog > ceiling { return 1 }
        return probability * Double(backlog - threshold) / Double(ceiling - threshold)
    }
}

/// The ECN field of an IP packet (RFC 3168 §5).
enum ECNField {
    /// Sets Congestion Experienced, and says whether the packet is ECN-capable; one that is not stays as it is.
    static func mark(_ packet: inout [UInt8]) -> Bool {
        guard packet.count >= 20 else { return false }
        if packet[0] >> 4 == 6 {
            // RFC 8200 §3: the traffic class lies across the first two octets; its lowest bits are the field.
            guard packet[1] & 0x30 != 0 else { return false }
            packet[1] |= 0x30
            return true
        }
        guard packet[1] & 3 != 0 else { return false }
        let before = UInt32(packet[0]) << 8 | UInt32(packet[1])
        packet[1] |= 3
        let after = UInt32(packet[0]) << 8 | UInt32(packet[1])
        // RFC 1624 §3: HC' = ~(~HC + ~m + m').
        let old = UInt32(packet[10]) << 8 | UInt32(packet[11])
        var sum = (~old & 0xFFFF) + (~before & 0xFFFF) + after
        sum = (sum & 0xFFFF) + sum >> 16
        sum = (sum & 0xFFFF) + sum >> 16
        let checksum = ~sum & 0xFFFF
        packet[10] = UInt8(checksum >> 8)
        packet[11] = UInt8(checksum & 0xFF)
        return true
    }
}

/// A change of a link's rate.
public struct RateChange: Sendable, Hashable {
    /// When, counted from the moment the link is made.
    public var time: Duration
    /// Bits a second from then on.
    public var rate: Double

    /// A change to `rate` bits a second when `time` is over.
    public init(after time: Duration, to rate: Double) {
        self.time = time
        self.rate = rate
    }
}
