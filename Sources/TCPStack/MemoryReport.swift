/// What a stack holds, in bytes by kind. The kinds add up to `total`, which never passes the budget.
public struct MemoryReport: Sendable, Hashable {
    /// Connections, with the storage that waits for more.
    public var connections = 0
    /// Half-open and TIME-WAIT entries.
    public var smallEntries = 0
    /// The table that finds a connection.
    public var tables = 0
    /// Blocks of octets in use and their indexes, but for the blocks of fragments.
    public var buffers = 0
    /// Blocks and indexes that wait to be used again.
    public var idleBuffers = 0
    /// Fragments that wait for others, with their blocks.
    public var fragments = 0
    /// Loss recovery and reassembly state, made when there is a need.
    public var recovery = 0
    /// Places for resets, SYN-ACKs and other replies that wait for the link.
    public var replies = 0
    /// Listeners and their queues.
    public var listeners = 0
    /// UDP sockets; what waits in them is in `buffers`.
    public var datagramSockets = 0
    /// Own addresses and routes.
    public var routing = 0
    /// What Ethernet links hold: neighbors, packets that wait for them, addresses, routers.
    public var neighbors = 0
    /// Fast Open cookies of servers.
    public var fastOpenCookies = 0
    /// Connections there are, in any state but LISTEN, SYN-RECEIVED entries and TIME-WAIT entries.
    public var connectionCount = 0
    /// UDP sockets.
    public var datagramSocketCount = 0
    /// Half-open entries.
    public var halfOpenCount = 0
    /// TIME-WAIT entries.
    public var timeWaitCount = 0

    /// Everything held, in bytes.
    public var total: Int {
        connections + smallEntries + tables + buffers + idleBuffers + fragments + recovery + replies + listeners
            + datagramSockets + routing + neighbors + fastOpenCookies
    }

    /// An empty report.
    public init() {}
}
