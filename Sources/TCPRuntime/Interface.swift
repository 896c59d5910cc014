internal import CLinux
internal import Glibc
public import TCPWire

/// What the kernel's end of a TUN interface is told: addresses, MTU, up. Without external programs, by netlink.
public enum Interface {
    /// An address pair: the kernel's own address on the interface, and the network that lies behind it.
    public struct Link: Sendable, Hashable {
        /// The stack's address with its prefix.
        public var stack: AddressPrefix
        /// The kernel's address.
        public var kernel: IPAddress
        /// Whether the interface leads to the stack's address as a peer, or to its whole prefix as a network.
        public var isPointToPoint: Bool

        /// Pairs the stack's address with the kernel's.
        ///
        /// - Parameters:
        ///   - stack: the stack's address with its prefix.
        ///   - peer: the kernel's address; `nil` takes the next usable one in the prefix, or the one before.
        /// - Throws: `DeviceError.noPeer` when the prefix has no other, `DeviceError.invalid` for a peer that cannot be one.
        public init(stack: AddressPrefix, peer: IPAddress? = nil) throws(DeviceError) {
            self.stack = stack
            if let peer {
                guard peer.isIPv4 == stack.address.isIPv4 else {
                    throw .invalid(
                        "The peer \(peer) and the address \(stack) are of different families: pair like with like.")
                }
                guard peer != stack.address, peer.isValidSource, !peer.isLoopback else {
                    throw .invalid(
                        "\(peer) cannot be the kernel's address opposite \(stack): choose another host address.")
                }
                kernel = peer
                isPointToPoint = true
            } else {
                guard let neighbour = Link.neighbour(of: stack) else { throw .noPeer(stack.description) }
                kernel = neighbour
                isPointToPoint = false
            }
        }

        /// The usable address after this one in its prefix, else the one before.
        static func neighbour(of prefix: AddressPrefix) -> IPAddress? {
            let address = prefix.address
            let hostBits = address.bitWidth - prefix.length
            guard hostBits > 0 else { return nil }
            let candidates = [
                IPAddress(high: address.high, low: address.low &+ 1),
                IPAddress(high: address.high, low: address.low &- 1),
            ]
            return candidates.first { candidate in
                guard prefix.contains(candidate), candidate.isIPv4 == address.isIPv4 else { return false }
                if hostBits == 1 { return true }
                // The prefix's first address is the network's, or the routers' anycast (RFC 4291 §2.6.1).
                let isFirst = candidate.low & ((hostBits >= 64 ? 0 : 1 &<< UInt64(hostBits)) &- 1) == 0
                return !isFirst && !prefix.isBroadcast(candidate)
            }
        }
    }

    /// Sets the MTU, gives the kernel its addresses, and brings the interface up.
    ///
    /// - Throws: `DeviceError.notPermitted`, `DeviceError.configuration` naming the step.
    public static func configure(_ name: String, links: [Link], mtu: Int) throws(DeviceError) {
        guard let index = index(of: name) else { throw .configuration("find the interface \(name)", ENODEV) }
        var netlink = try Netlink()
        try netlink.setLink(index, mtu: mtu, up: false, step: "set the MTU of \(name) to \(mtu)")
        // Up first: while it is down the kernel keeps the route to an IPv6 peer for later, and now and then loses it.
        try netlink.setLink(index, mtu: nil, up: true, step: "bring \(name) up")
        for link in links {
            let step = "give \(name) the address \(link.kernel)"
            try netlink.addAddress(link, to: index, step: step)
            // The kernel answers before an IPv6 address is in its tables: a SYN at once would be lost.
            for _ in 0..<200 {
                if try netlink.isLocal(link.kernel, step: step) { break }
                usleep(1000)
            }
        }
    }

    // MARK: Asking

    /// Whether the kernel takes `name` for an interface.
    package static func isValidName(_ name: String) -> Bool {
        let octets = name.utf8
        guard (1...15).contains(octets.count), name != ".", name != ".." else { return false }
        return octets.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"/:%".utf8.contains($0) }
    }

    static func exists(_ name: String) -> Bool { index(of: name) != nil }

    static func index(of name: String) -> UInt32? {
        let index = if_nametoindex(name)
        return index == 0 ? nil : index
    }

    static func mtu(of name: String) throws(DeviceError) -> Int {
        var request = Request(name: name)
        guard request.performOnSocket(UInt(SIOCGIFMTU)) else { throw .configuration("read the MTU of \(name)", errno) }
        return Int(request.number)
    }

    /// Whether the interface is up.
    public static func isUp(_ name: String) -> Bool {
        var request = Request(name: name)
        return request.performOnSocket(UInt(SIOCGIFFLAGS)) && request.flags & 1 != 0
    }

    /// An `ifreq`: a name in 16 octets and a union of 24.
    struct Request {
        private var bytes = [UInt8](repeating: 0, count: 40)

        init(name: String) {
            for (index, octet) in name.utf8.prefix(15).enumerated() { bytes[index] = octet }
        }

        var flags: UInt16 {
            get { bytes.withUnsafeBytes { $0.load(fromByteOffset: 16, as: UInt16.self) } }
            set { bytes.withUnsafeMutableBytes { $0.storeBytes(of: newValue, toByteOffset: 16, as: UInt16.self) } }
        }

        var number: Int32 { bytes.withUnsafeBytes { $0.load(fromByteOffset: 16, as: Int32.self) } }

        mutating func perform(_ call: UInt, on file: CInt) -> Bool {
            bytes.withUnsafeMutableBytes { ioctl(file, call, $0.baseAddress!) == 0 }
        }

        mutating func performOnSocket(_ call: UInt) -> Bool {
            let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            guard file >= 0 else { return false }
            let done = perform(call, on: file)
            let number = errno
            Glibc.close(file)
            errno = number
            return done
        }
    }
}
