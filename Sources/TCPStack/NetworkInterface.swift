import TCPEngine

/// Names an interface of one stack.
public struct InterfaceID: Hashable, Sendable {
    package var index: UInt8

    package init(index: UInt8) { self.index = index }

    /// The one every stack has.
    public static let first = InterfaceID(index: 0)
    /// Interfaces a stack may have.
    public static let limit = 8
}

/// What a stack is told of a link. The first interface's is in `Configuration`.
public struct InterfaceConfiguration: Sendable, Hashable {
    /// The link's MTU in octets: 68...65535 with IPv4, at least 1280 with IPv6.
    public var mtu: Int
    /// Whether the link takes packets of up to 64 KiB with a segment size to cut them by.
    public var superSegments: Bool
    /// Whether the link finishes transport checksums.
    public var checksumOffload: Bool
    /// Whether packets for which there is no route leave here, as those of a tunnel do: the first such interface takes them.
    public var takesEverything: Bool

    /// Describes a link.
    public init(
        mtu: Int = 1500, superSegments: Bool = false, checksumOffload: Bool = false, takesEverything: Bool = false
    ) {
        self.mtu = mtu
        self.superSegments = superSegments
        self.checksumOffload = checksumOffload
        self.takesEverything = takesEverything
    }
}

/// One link as its stack keeps it: what waits for room on it waits for nobody else's.
struct NetworkInterface: ~Copyable {
    private let inPlace = InPlace()
    var link = InterfaceConfiguration()
    /// Connections with something to send, through their records.
    var transmitting = ListEnds()
    var control = ControlQueue()
    /// Datagrams that wait, by `MessageQueue.Kind`.
    var messages: InlineArray<2, MessageQueue> = InlineArray { _ in MessageQueue() }
    /// The messages of which fragments have left and others have not: their octets are the first of their queues.
    var outgoing: InlineArray<2, OutgoingMessage?> = .init(repeating: nil)
    /// Whether datagrams have their turn before segments.
    var datagramsFirst = false
    /// The hop limit that routers advertise, for IPv6 (RFC 4861 §6.3.4); zero is none.
    var advertisedHopLimit: UInt8 = 0
    /// The MTU that routers advertise, for IPv6, in octets; zero is none.
    var advertisedMTU = 0

    /// The MTU in octets.
    func mtu(isIPv4: Bool) -> Int {
        isIPv4 || advertisedMTU == 0 ? link.mtu : min(link.mtu, advertisedMTU)
    }

    init() {}
}

extension Configuration {
    /// What it says of the first interface.
    var link: InterfaceConfiguration {
        InterfaceConfiguration(
            mtu: mtu, superSegments: superSegments, checksumOffload: checksumOffload, takesEverything: takesEverything)
    }
}
