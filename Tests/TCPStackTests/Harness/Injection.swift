import TCPWire

/// One TCP option as a test writes it, so that it can also be written wrongly.
enum WireOption {
    case mss(UInt16)
    case windowScale(UInt8)
    case sackPermitted
    case timestamps(UInt32, echo: UInt32)
    /// Blocks in numbers relative to the stack's ISS.
    case sack([Range<Int>])
    /// Fast Open, kind 34, with these octets; none ask for a cookie (RFC 7413 §4.1.1).
    case fastOpen([UInt8])
    case nop
    case end
    case raw([UInt8])

    func encoded(base: SequenceNumber) -> [UInt8] {
        switch self {
        case .mss(let size): [2, 4] + big16(size)
        case .windowScale(let shift): [3, 3, shift]
        case .sackPermitted: [4, 2]
        case .timestamps(let value, let echo): [8, 10] + big32(value) + big32(echo)
        case .sack(let blocks):
            [5, UInt8(2 + 8 * blocks.count)]
                + blocks.flatMap { big32((base + $0.lowerBound).rawValue) + big32((base + $0.upperBound).rawValue) }
        case .fastOpen(let cookie): [34, UInt8(2 + cookie.count)] + cookie
        case .nop: [1]
        case .end: [0]
        case .raw(let octets): octets
        }
    }
}

func big16(_ value: UInt16) -> [UInt8] { [UInt8(value &>> 8), UInt8(truncatingIfNeeded: value)] }
func big32(_ value: UInt32) -> [UInt8] { big16(UInt16(value &>> 16)) + big16(UInt16(truncatingIfNeeded: value)) }

/// A packet with a TCP segment in it, put together octet by octet so that nothing in it needs to be right.
struct Injection {
    var source: Endpoint
    var destination: Endpoint
    var sequence: SequenceNumber
    var acknowledgment = SequenceNumber(0)
    var flags: TCPFlags
    var window: UInt16 = 65535
    var urgentPointer: UInt16 = 0
    /// Options, padded with zeros to a multiple of four.
    var options: [UInt8] = []
    var payload: [UInt8] = []
    /// The data offset in words; nil is the right one.
    var dataOffset: UInt8?
    /// The three reserved bits of the header.
    var reserved: UInt8 = 0
    var hopLimit: UInt8 = 64
    var trafficClass: UInt8 = 0
    /// IPv4 options, or a whole IPv6 extension header that starts with the number of the next header.
    var ipOptions: [UInt8] = []
    /// The number of that extension header.
    var extensionHeader: UInt8 = 60
    /// Whether the checksum is what it should be.
    var hasValidChecksum = true
    /// A last touch to the finished packet.
    var edit: ((inout [UInt8]) -> Void)?

    /// The packet.
    func packet() -> [UInt8] {
        var options = options
        while options.count % 4 != 0 { options.append(0) }
        let offset = dataOffset ?? UInt8(5 + options.count / 4)
        var segment = big16(source.port) + big16(destination.port) + big32(sequence.rawValue)
        segment += big32(acknowledgment.rawValue)
        segment += big16(UInt16(offset) &<< 12 | UInt16(reserved & 7) &<< 9 | flags.rawValue & 0x1FF)
        segment += big16(window) + [0, 0] + big16(urgentPointer) + options + payload
        var checksum = Checksum()
        checksum.add(segment.span.bytes)
        checksum.addPseudoHeader(
            source: source.address, destination: destination.address, protocol: IPProtocol.tcp, length: segment.count)
        let sum = hasValidChecksum ? checksum.value : checksum.value ^ 0x0101
        segment.replaceSubrange(16..<18, with: big16(sum))
        var packet = ipHeader(payload: segment.count) + segment
        edit?(&packet)
        return packet
    }

    private func ipHeader(payload: Int) -> [UInt8] {
        if source.address.isIPv4 {
            let length = 20 + ipOptions.count
            var header: [UInt8] = [0x40 | UInt8(length / 4), trafficClass] + big16(UInt16(length + payload))
            header += [0, 0, 0x40, 0, hopLimit, IPProtocol.tcp, 0, 0]
            header += big32(source.address.ipv4Bits) + big32(destination.address.ipv4Bits) + ipOptions
            var checksum = Checksum()
            checksum.add(header.span.bytes)
            header.replaceSubrange(10..<12, with: big16(checksum.value))
            return header
        }
        let next = ipOptions.isEmpty ? IPProtocol.tcp : extensionHeader
        var header = big32(0x6000_0000 | UInt32(trafficClass) &<< 20) + big16(UInt16(ipOptions.count + payload))
        header += [next, hopLimit]
        for address in [source.address, destination.address] {
            for half in [address.high, address.low] {
                header += big32(UInt32(half &>> 32)) + big32(UInt32(truncatingIfNeeded: half))
            }
        }
        return header + ipOptions
    }
}
