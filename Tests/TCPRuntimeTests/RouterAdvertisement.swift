import CLinux
import Glibc
import TCPWire

/// A router's advertisement as the kernel of a namespace sends it, by a raw socket (RFC 4861 §4.2).
struct RouterAdvertisement {
    /// How long the sender is a default router, in seconds.
    var lifetime: UInt16 = 0
    /// The prefix to make addresses of, if any; on the link.
    var prefix: AddressPrefix?
    var preferredLifetime: UInt32 = 3600
    var validLifetime: UInt32 = 7200
    /// The MTU option, if any.
    var mtu: UInt32?

    /// The ICMPv6 message; its checksum is the kernel's business.
    var message: [UInt8] {
        var bytes: [UInt8] = [134, 0, 0, 0, 64, 0] + number(lifetime) + [0, 0, 0, 0, 0, 0, 0, 0]
        if let prefix {
            bytes += [3, 4, UInt8(prefix.length), 0xC0] + number(validLifetime) + number(preferredLifetime)
            bytes += [0, 0, 0, 0] + number(prefix.address.high) + number(prefix.address.low)
        }
        if let mtu { bytes += [5, 1, 0, 0] + number(mtu) }
        return bytes
    }

    private func number(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// Sends it to all nodes of the link.
    func send(in space: Namespace, interface: String) throws {
        let message = message
        try inNamespace(space) {
            let file = socket(AF_INET6, linux_SOCK_RAW, Int32(IPProtocol.icmpv6))
            guard file >= 0 else { throw Running.Failure("no raw socket") }
            defer { close(file) }
            var hops: CInt = 255
            var index = CInt(if_nametoindex(interface))
            let isSet =
                setsockopt(file, Int32(IPPROTO_IPV6), IPV6_MULTICAST_HOPS, &hops, 4) == 0
                && setsockopt(file, Int32(IPPROTO_IPV6), IPV6_MULTICAST_IF, &index, 4) == 0
            guard isSet else { throw Running.Failure("the socket takes no options") }
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            inet_pton(AF_INET6, "ff02::1", &address.sin6_addr)
            let count = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { to in
                    sendto(file, message, message.count, 0, to, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
            guard count == message.count else {
                throw Running.Failure("the advertisement was not sent: \(String(cString: strerror(errno)))")
            }
        }
    }
}
