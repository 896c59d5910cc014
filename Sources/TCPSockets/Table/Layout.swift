import TCPWire

// Structures of Linux's socket interface as octets.

extension SocketAddress {
    /// A `struct sockaddr_in` or `sockaddr_in6`.
    package var octets: [UInt8] {
        var result = [UInt8](repeating: 0, count: family == .ipv4 ? 16 : 28)
        result[0] = UInt8(family.rawValue)
        result[2] = UInt8(port >> 8)
        result[3] = UInt8(port & 255)
        switch family {
        case .ipv4:
            for index in 0..<4 {
                result[4 + index] = UInt8(truncatingIfNeeded: address.ipv4Bits >> (24 - 8 * UInt32(index)))
            }
        case .ipv6:
            for index in 0..<8 {
                result[8 + index] = UInt8(truncatingIfNeeded: address.high >> (56 - 8 * UInt64(index)))
                result[16 + index] = UInt8(truncatingIfNeeded: address.low >> (56 - 8 * UInt64(index)))
            }
        }
        return result
    }

    /// Reads such a structure.
    ///
    /// - Throws: EINVAL when it is too short for its family, EAFNOSUPPORT for another family.
    package init(octets: [UInt8]) throws(Errno) {
        guard octets.count >= 2 else { throw .EINVAL }
        guard octets[1] == 0, let family = AddressFamily(rawValue: Int32(octets[0])) else { throw .EAFNOSUPPORT }
        guard octets.count >= (family == .ipv4 ? 16 : 24) else { throw .EINVAL }
        func big(_ range: Range<Int>) -> UInt64 { octets[range].reduce(0) { $0 << 8 | UInt64($1) } }
        let address =
            family == .ipv4
            ? IPAddress(ipv4: UInt32(big(4..<8))) : IPAddress(high: big(8..<16), low: big(16..<24))
        self.init(family: family, address: address, port: UInt16(big(2..<4)))
    }
}

extension EpollEvent {
    #if arch(x86_64)
        /// Octets of a `struct epoll_event`, which x86-64 packs.
        package static let size = 12
        private static let dataOffset = 4
    #else
        /// Octets of a `struct epoll_event`.
        package static let size = 16
        private static let dataOffset = 8
    #endif

    /// A `struct epoll_event`.
    package var octets: [UInt8] {
        var result = [UInt8](repeating: 0, count: EpollEvent.size)
        for index in 0..<4 { result[index] = UInt8(truncatingIfNeeded: events >> (8 * UInt32(index))) }
        for index in 0..<8 {
            result[EpollEvent.dataOffset + index] = UInt8(truncatingIfNeeded: data >> (8 * UInt64(index)))
        }
        return result
    }

    /// Reads such a structure, which must be whole.
    package init(octets: [UInt8]) {
        func little(_ range: Range<Int>) -> UInt64 { octets[range].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        let offset = EpollEvent.dataOffset
        self.init(events: UInt32(little(0..<4)), data: little(offset..<offset + 8))
    }
}

extension PollDescriptor {
    /// A `struct pollfd`.
    package var octets: [UInt8] {
        let bits = UInt32(bitPattern: descriptor)
        let wanted = UInt16(bitPattern: events)
        let found = UInt16(bitPattern: returned)
        return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
            + [UInt8(wanted & 255), UInt8(wanted >> 8), UInt8(found & 255), UInt8(found >> 8)]
    }

    /// Reads such a structure, which must be whole.
    package init(octets: [UInt8]) {
        func little(_ range: Range<Int>) -> UInt32 { octets[range].reversed().reduce(0) { $0 << 8 | UInt32($1) } }
        self.init(
            Int32(bitPattern: little(0..<4)), events: Int16(bitPattern: UInt16(little(4..<6))),
            returned: Int16(bitPattern: UInt16(little(6..<8))))
    }
}
