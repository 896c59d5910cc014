public import TCPWire

/// What a stack has counted since it was made.
public struct Counters: Sendable {
    /// Packets handed to `receive`.
    public package(set) var packetsReceived: UInt64 = 0
    /// Packets given by `transmit`.
    public package(set) var packetsSent: UInt64 = 0
    /// TCP segments whose checksum and header were right; a super-segment counts once.
    public package(set) var segmentsReceived: UInt64 = 0
    /// TCP segments sent; a super-segment counts once.
    public package(set) var segmentsSent: UInt64 = 0
    /// Segments sent again.
    public package(set) var segmentsRetransmitted: UInt64 = 0
    /// Fast recoveries begun: losses that acknowledgments told of (RFC 5681 §3.2, RFC 6675 §5, RFC 8985 §6).
    public package(set) var recoveries: UInt64 = 0
    /// Retransmission timeouts with data in flight (RFC 6298 §5).
    public package(set) var retransmissionTimeouts: UInt64 = 0
    /// Recoveries, after timeouts too, that turned out not to have been called for, and were taken back (RFC 4015).
    public package(set) var spuriousRecoveries: UInt64 = 0
    /// Tail loss probes sent (RFC 8985 §7.3).
    public package(set) var tailLossProbes: UInt64 = 0
    /// Resets sent.
    public package(set) var resetsSent: UInt64 = 0
    /// Challenge acknowledgments (RFC 5961).
    public package(set) var challengeAcknowledgments: UInt64 = 0
    /// Times a connection's segments became smaller because large ones timed out in a row (RFC 4821 §7.7).
    public package(set) var blackHoles: UInt64 = 0
    /// Segments sent larger than others, to find out whether the path takes them (RFC 4821 §7).
    public package(set) var pathProbesSent: UInt64 = 0
    /// Of these, those that were lost while what followed them arrived, or that timed out.
    public package(set) var pathProbesLost: UInt64 = 0
    /// Replies that were not sent because too many waited already.
    public package(set) var repliesDropped: UInt64 = 0
    /// Segments taken that a router had marked, of a super-segment each (RFC 3168 §6.1.3, RFC 9768 §3.2.2).
    public package(set) var congestionMarksReceived: UInt64 = 0
    /// Acknowledgments that told of marks on what this end sent.
    public package(set) var congestionEchoesReceived: UInt64 = 0
    /// Times a window came down because of marks (RFC 3168 §6.1.2).
    public package(set) var reductionsByMarks: UInt64 = 0
    /// Segments sent with CWR, to tell that a window came down.
    public package(set) var reductionsTold: UInt64 = 0
    /// UDP datagrams whose checksum and length were right.
    public package(set) var datagramsReceived: UInt64 = 0
    /// ICMP errors queued about packets that came.
    public package(set) var errorsSent: UInt64 = 0
    /// ICMP errors not sent because of the limits on their rate.
    public package(set) var errorsSuppressed: UInt64 = 0
    /// SYNs answered with a cookie (RFC 4987 §3.6).
    public package(set) var cookiesSent: UInt64 = 0
    /// Connections that came of a cookie.
    public package(set) var cookiesAccepted: UInt64 = 0
    /// Acknowledgments that came while cookies were out, and fitted none.
    public package(set) var cookiesRefused: UInt64 = 0
    /// SYN-ACKs sent with a Fast Open cookie (RFC 7413 §4.1.2).
    public package(set) var fastOpenCookiesSent: UInt64 = 0
    /// SYNs with a Fast Open cookie that is not good, or no more.
    public package(set) var fastOpenCookiesRefused: UInt64 = 0
    /// Connections that a good Fast Open cookie opened at once.
    public package(set) var fastOpensAccepted: UInt64 = 0
    /// SYNs with a good cookie that had to shake hands first, because too many were pending or places were short.
    public package(set) var fastOpensOverLimit: UInt64 = 0
    /// SYNs sent with octets.
    public package(set) var fastOpensSent: UInt64 = 0
    /// Of these, those of which the server took octets.
    public package(set) var fastOpensTaken: UInt64 = 0
    /// Servers that were noted as not to be tried for a time: what went with the SYN was lost or ignored (RFC 7413 §4.1.3.1).
    public package(set) var fastOpenFallbacks: UInt64 = 0
    /// TIME-WAIT entries that ended before their time, for want of memory.
    public package(set) var timeWaitsCutShort: UInt64 = 0
    /// Connections without a program that were reset, for want of memory.
    public package(set) var orphansReset: UInt64 = 0
    /// Segments of which octets were not taken, because their connection held its share of scarce memory.
    public package(set) var segmentsRefused: UInt64 = 0
    /// How often memory was wanted and the budget had none.
    public package(set) var memoryRefusals: UInt64 = 0
    /// Fragments handed to `receive` for an address of this host.
    public package(set) var fragmentsReceived: UInt64 = 0
    /// Datagrams that became whole.
    public package(set) var datagramsReassembled: UInt64 = 0
    /// Fragments given by `transmit`.
    public package(set) var fragmentsSent: UInt64 = 0
    /// Connections that ended because a state was reached that cannot be.
    public package(set) var impossibleStates: UInt64 = 0

    private var faults: InlineArray<64, UInt64> = .init(repeating: 0)

    package init() {}

    /// Packets dropped for that reason.
    public subscript(fault: PacketFault) -> UInt64 { faults[Int(fault.rawValue)] }

    mutating func count(_ fault: PacketFault) { faults[Int(fault.rawValue)] &+= 1 }
}
