public import TCPWire

/// What a link has counted since it was made.
public struct EthernetCounters: Sendable {
    /// Frames handed to `receive`.
    public package(set) var framesReceived: UInt64 = 0
    /// Frames given by `transmit`.
    public package(set) var framesSent: UInt64 = 0
    /// ARP packets that were well formed.
    public package(set) var arpReceived: UInt64 = 0
    /// ARP packets queued to be sent.
    public package(set) var arpSent: UInt64 = 0
    /// Messages of neighbor discovery that were well formed.
    public package(set) var discoveryReceived: UInt64 = 0
    /// Messages of neighbor discovery queued to be sent.
    public package(set) var discoverySent: UInt64 = 0
    /// Packets that had to wait for a neighbor's address.
    public package(set) var packetsDeferred: UInt64 = 0
    /// Packets dropped because no route leads to their destination.
    public package(set) var packetsWithoutRoute: UInt64 = 0
    /// Packets dropped because their next hop did not answer.
    public package(set) var packetsUnreachable: UInt64 = 0
    /// Packets dropped because too many waited: the oldest of a neighbor.
    public package(set) var packetsOverflowed: UInt64 = 0
    /// Packets dropped because the neighbor they waited for gave way to others.
    public package(set) var packetsEvicted: UInt64 = 0
    /// Packets dropped because the budget had no room for them to wait, or the table none for their next hop.
    public package(set) var packetsWithoutMemory: UInt64 = 0
    /// Neighbors that did not answer.
    public package(set) var neighborsFailed: UInt64 = 0
    /// Neighbors that gave way to others.
    public package(set) var neighborsEvicted: UInt64 = 0
    /// Packets to this host itself, that never left.
    public package(set) var packetsLooped: UInt64 = 0
    /// Addresses that were found to have another owner.
    public package(set) var addressConflicts: UInt64 = 0
    /// IPv4 addresses that were defended against another owner (RFC 5227 §2.4).
    public package(set) var addressesDefended: UInt64 = 0
    /// Redirects obeyed.
    public package(set) var redirectsObeyed: UInt64 = 0

    private var faults: InlineArray<40, UInt64> = .init(repeating: 0)

    package init() {}

    /// Frames, or parts of what they said, that were not taken for that reason.
    public subscript(fault: EthernetFault) -> UInt64 { faults[Int(fault.rawValue)] }

    mutating func count(_ fault: EthernetFault) { faults[Int(fault.rawValue)] &+= 1 }
}
