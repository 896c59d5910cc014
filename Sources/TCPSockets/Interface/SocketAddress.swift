public import TCPWire

/// AF_INET or AF_INET6.
public enum AddressFamily: Int32, Hashable, Sendable {
    /// AF_INET.
    case ipv4 = 2
    /// AF_INET6.
    case ipv6 = 10
}

/// What a `sockaddr_in` or a `sockaddr_in6` holds.
public struct SocketAddress: Hashable, Sendable {
    /// The structure's family. An IPv4 address in an IPv6 structure is written `::ffff:a.b.c.d`.
    public var family: AddressFamily
    /// The address.
    public var address: IPAddress
    /// The port, in host byte order.
    public var port: UInt16

    /// Makes an address of the family of `address`.
    public init(_ address: IPAddress, port: UInt16) {
        family = address.isIPv4 ? .ipv4 : .ipv6
        self.address = address
        self.port = port
    }

    /// Makes an address as a structure of `family` holds it.
    public init(family: AddressFamily, address: IPAddress, port: UInt16) {
        self.family = family
        self.address = address
        self.port = port
    }
}
