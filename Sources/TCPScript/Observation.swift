internal import TCPWire

/// A packet that left the stack, taken apart; numbers are as on the wire.
struct Observation {
    var time: Instant
    var source: IPAddress
    var destination: IPAddress
    var network: NetworkPattern
    var content: Content

    enum Content {
        case tcp(Segment)
        case udp(ports: SegmentPattern.Ports, length: Int)
        case icmp(type: UInt8, code: UInt8)
        case other(UInt8)
    }

    struct Segment {
        var header: TCPHeader
        var options: [OptionPattern]
        var payload: [UInt8]
        /// How many segments of the wire it is.
        var count = 1
    }

    /// Takes a packet apart; `nil` when it is none, which a stack must never send.
    init?(_ octets: [UInt8], at time: Instant) {
        self.time = time
        let packet = octets.span.bytes
        guard let ip = try? IPHeader(parsing: packet) else { return nil }
        source = ip.source
        destination = ip.destination
        network = NetworkPattern()
        network.ecn = [.notCapable, .capable1, .capable0, .congestion][Int(ip.trafficClass & 3)]
        network.trafficClass = ip.trafficClass
        network.hopLimit = ip.hopLimit
        if ip.source.isIPv4 {
            network.dontFragment = packet.be16(6) & 0x4000 != 0
        } else {
            network.flowLabel = packet.be32(0) & 0xFFFFF
        }
        let body = packet.extracting(ip.headerLength..<ip.totalLength)
        switch ip.protocolNumber {
        case IPProtocol.tcp:
            guard let header = try? TCPHeader(parsing: body),
                TCPHeader.isChecksumValid(body, source: source, destination: destination)
            else { return nil }
            let options = OptionCodec.options(in: body.extracting(20..<header.headerLength))
            content = .tcp(
                Segment(
                    header: header, options: options,
                    payload: body.extracting(header.headerLength..<body.byteCount).bytes()))
        case IPProtocol.udp where body.byteCount >= 8:
            content = .udp(ports: .init(source: body.be16(0), destination: body.be16(2)), length: body.byteCount - 8)
        case IPProtocol.icmp where body.byteCount >= 2, IPProtocol.icmpv6 where body.byteCount >= 2:
            content = .icmp(type: body.u8(0), code: body.u8(1))
        default: content = .other(ip.protocolNumber)
        }
    }
}
