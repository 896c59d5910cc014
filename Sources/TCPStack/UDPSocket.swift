import TCPEngine
public import TCPWire

/// Names a UDP socket of one stack. A handle outlives its socket harmlessly.
public struct UDPSocketID: Hashable, Sendable {
    package var slot: UInt32
    package var generation: UInt32
}

/// What one UDP socket may choose for itself.
public struct UDPOptions: Sendable {
    /// DSCP, 0...63.
    public var differentiatedServices: UInt8 = 0
    /// TTL or hop limit; `nil` is the configuration's.
    public var hopLimit: UInt8?
    /// Whether routers must not cut what this host did not cut: DF in IPv4 (RFC 8899 wants it). What is larger than the path
    /// is then refused with `tooLarge`.
    public var doesNotFragment = false
    /// Octets that may wait to be read, each datagram with 40 more; `nil` is the configuration's.
    public var receiveBuffer: Int?
    /// Octets that may wait for the link, each datagram with 40 more; `nil` is the configuration's.
    public var sendBuffer: Int?

    /// The defaults.
    public init() {}
}

/// What is known of a datagram that was read.
public struct ReceivedDatagram: Sendable, Hashable {
    /// Who sent it.
    public var source: Endpoint
    /// To which of this host's endpoints.
    public var destination: Endpoint
    /// Octets it had; those past the buffer's end are gone.
    public var length: Int
    /// DSCP (upper six bits) and ECN (lower two).
    public var trafficClass: UInt8
    /// TTL or hop limit it came with.
    public var hopLimit: UInt8
}

/// Why a datagram was not sent, or none can be read.
public enum DatagramError: UInt8, Error, Sendable {
    /// The handle names no socket any more.
    case notOpen
    /// No destination was named, and the socket has no peer.
    case notConnected
    /// The socket has a peer, and another destination was named.
    case otherPeer
    /// The destination is unspecified, broadcast or multicast, or its port is zero.
    case invalidAddress
    /// No route leads there.
    case noRoute
    /// No address of this host fits.
    case noLocalAddress
    /// More octets than a datagram may have, or than the path takes whole if it must stay whole.
    case tooLarge
    /// The peer's host said that nobody listens there, or lets nothing through. Said once; the socket lives on.
    case refused
    /// A router said that there is no way to the peer now. Said once; the socket lives on.
    case unreachable

    /// What is wrong and what to do, in one sentence for a person.
    public var explanation: String {
        switch self {
        case .notOpen: "The socket is closed: open another."
        case .notConnected: "No destination: name one, or connect the socket to a peer first."
        case .otherPeer: "The socket is connected to another peer: leave out the destination, or use another socket."
        case .invalidAddress: "The destination is no unicast address, or its port is zero: name one host and one port."
        case .noRoute:
            "No route leads there: add one, or give the stack an address whose prefix holds the destination's."
        case .noLocalAddress: "No local address fits: give the stack an address of the destination's family."
        case .tooLarge: "The datagram is too large: send less at a time, or let it be cut into fragments."
        case .refused: "The peer's host takes no datagrams there: check the port, then send again."
        case .unreachable: "The peer cannot be reached now: try again later."
        }
    }
}

/// A UDP socket as its stack keeps it.
struct UDPSocket: ~Copyable {
    struct Marks: OptionSet {
        var rawValue: UInt8
        static let inReadyList = Marks(rawValue: 1)
        /// A send found no room, and the program wants to know of it.
        static let wantsRoom = Marks(rawValue: 2)
    }

    /// Remote endpoint zero: anybody's datagrams. Local address `UDPSocket.anyAddress`: to any of this host's.
    var key: FlowKey
    var generation: UInt32
    var options: UDPOptions
    var marks: Marks = []
    var changes: Readiness = []
    var ready = ListLinks()
    /// What routers and the peer's host said, until it was told.
    var error: DatagramError?
    /// What waits to be read.
    var received = MessageQueue()
    /// Octets that wait for the link, descriptions included.
    var queued = 0

    static let anyAddress = UInt16.max
    static let nobody = IPAddress(high: 0, low: 0)

    var isConnected: Bool { key.remotePort != 0 }
}

extension Slab: FlowKeys where Element == UDPSocket {
    func key(of id: FlowID) -> FlowKey { self[id.slot].key }
}

/// The UDP sockets of a stack, and the table that finds them.
struct UDPTable: ~Copyable {
    var sockets = Slab<UDPSocket>()
    var flows: FlowTable
    var ready = ListEnds()
    /// Blocks that datagrams hold that wait to be read, in bytes, at the most.
    var receivedBytes = 0

    /// Sockets whose sends found no memory, and that have nothing on the way.
    var waitingForMemory: [UDPSocketID] = []
    /// Ports that were drawn.
    var draws: UInt64 = 0

    init(_ budget: inout Budget) { flows = FlowTable(&budget) }
    // Embedded Swift destroys values of another module only through a deinit it can see.
    deinit {}

    func find(_ key: FlowKey, _ secret: StackSecret) -> UInt32? {
        flows.count == 0 ? nil : flows.find(key, hash: key.hash(secret), sockets)?.slot
    }

    /// The most that so many octets hold in blocks.
    static func blockBytes(_ octets: Int) -> Int {
        octets == 0 ? 0 : (octets / BlockPool.blockSize &+ 2) &* BlockPool.blockSize
    }

    // MARK: The list of sockets with something to tell

    mutating func makeReady(_ slot: UInt32, _ change: Readiness) {
        sockets[slot].changes.formUnion(change)
        guard !sockets[slot].marks.contains(.inReadyList) else { return }
        sockets[slot].marks.insert(.inReadyList)
        sockets[slot].ready = ListLinks(previous: ready.tail)
        if ready.tail == .max { ready.head = slot } else { sockets[ready.tail].ready.next = slot }
        ready.tail = slot
    }

    mutating func removeFromReady(_ slot: UInt32) {
        guard sockets[slot].marks.contains(.inReadyList) else { return }
        let links = sockets[slot].ready
        if links.previous == .max { ready.head = links.next } else { sockets[links.previous].ready.next = links.next }
        if links.next == .max {
            ready.tail = links.previous
        } else {
            sockets[links.next].ready.previous = links.previous
        }
        sockets[slot].marks.remove(.inReadyList)
    }
}
