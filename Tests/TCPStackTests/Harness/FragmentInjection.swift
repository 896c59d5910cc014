import TCPStack
import TCPWire

/// One fragment, put together octet by octet so that nothing in it needs to be right.
struct Fragment {
    var offset: Int
    var octets: [UInt8]
    var hasMore: Bool
    var identification: UInt32 = 0x0102_0304
    /// The transport protocol; `nil` is ICMP's of the family.
    var number: UInt8?
    var trafficClass: UInt8 = 0
    /// IPv4 options, or a whole IPv6 extension header in front of the fragment header.
    var headers: [UInt8] = []
    /// The number of that extension header.
    var firstHeader: UInt8 = 60

    /// The packet, from a host of the link to the stack under test.
    func packet(_ family: Family, from number: Int = 2) -> [UInt8] {
        let protocolNumber = self.number ?? (family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6)
        if family == .ipv4 {
            let length = 20 + headers.count
            var header: [UInt8] = [0x40 | UInt8(length / 4), trafficClass]
            header += big16(UInt16(truncatingIfNeeded: length + octets.count))
            header += big16(UInt16(truncatingIfNeeded: identification))
            header += big16(UInt16(truncatingIfNeeded: offset / 8) | (hasMore ? 0x2000 : 0))
            header += [64, protocolNumber, 0, 0]
            header += big32(family.address(number).ipv4Bits) + big32(family.stackAddress.ipv4Bits) + headers
            var checksum = Checksum()
            checksum.add(header.span.bytes)
            header.replaceSubrange(10..<12, with: big16(checksum.value))
            return header + octets
        }
        var header = big32(0x6000_0000 | UInt32(trafficClass) << 20)
        header += big16(UInt16(truncatingIfNeeded: headers.count + 8 + octets.count))
        header += [headers.isEmpty ? 44 : firstHeader, 64]
        for address in [family.address(number), family.stackAddress] {
            for half in [address.high, address.low] {
                header += big32(UInt32(half >> 32)) + big32(UInt32(truncatingIfNeeded: half))
            }
        }
        let field = UInt16(truncatingIfNeeded: offset) & 0xFFF8 | (hasMore ? 1 : 0)
        return header + headers + [protocolNumber, 0] + big16(field) + big32(identification) + octets
    }
}

/// Cuts octets at multiples of eight into pieces of `sizes`, the last of which takes what is left.
func cut(_ octets: [UInt8], sizes: [Int], identification: UInt32 = 0x0102_0304, number: UInt8? = nil) -> [Fragment] {
    var pieces: [Fragment] = []
    var offset = 0
    for size in sizes where offset + size < octets.count {
        pieces.append(
            Fragment(
                offset: offset, octets: Array(octets[offset..<offset + size]), hasMore: true,
                identification: identification, number: number))
        offset += size
    }
    pieces.append(
        Fragment(
            offset: offset, octets: Array(octets[offset...]), hasMore: false, identification: identification,
            number: number))
    return pieces
}

/// Octets that are told apart by where they stand.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &* 7 &+ seed) }
}

/// An echo request with these data: ICMP or ICMPv6, its checksum right.
func echoRequest(_ family: Family, _ data: [UInt8], from number: Int = 2) -> [UInt8] {
    var message: [UInt8] = [family == .ipv4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 7] + data
    let sum = icmpChecksum(family, message, family.address(number), family.stackAddress)
    message.replaceSubrange(2..<4, with: big16(sum))
    return message
}

func icmpChecksum(_ family: Family, _ message: [UInt8], _ source: IPAddress, _ destination: IPAddress) -> UInt16 {
    var sum = Checksum()
    sum.add(message.span.bytes)
    if family == .ipv6 {
        sum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6, length: message.count)
    }
    return sum.value
}

extension VirtualHost {
    func inject(_ fragment: Fragment, _ family: Family, from number: Int = 2) {
        inject(fragment.packet(family, from: number))
    }

    /// The data of the echo replies since the last call, put together from their fragments; these must come in order.
    func takeEchoes(_ family: Family) -> [[UInt8]] {
        var replies: [[UInt8]] = []
        var message: [UInt8] = []
        for packet in others {
            guard let ip = try? IPHeader(parsing: packet.span.bytes), ip.totalLength == packet.count else { return [] }
            guard ip.fragment.map({ $0.offset == message.count }) ?? message.isEmpty else { return [] }
            // Errors about what was refused are no echoes.
            if !ip.isFragment, packet[ip.headerLength] != (family == .ipv4 ? 0 : 129) { continue }
            message += packet[ip.headerLength...]
            if ip.fragment?.hasMore == true { continue }
            guard message.count >= 8, icmpChecksum(family, message, ip.source, ip.destination) == 0,
                message[0] == (family == .ipv4 ? 0 : 129)
            else { return [] }
            replies.append(Array(message[8...]))
            message = []
        }
        others.removeAll()
        return message.isEmpty ? replies : []
    }

    /// What fragments hold, in bytes.
    var fragmentBytes: Int { stack.memory.fragments }
}
