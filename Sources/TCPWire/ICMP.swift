/// What an ICMP or ICMPv6 message means to a host (RFC 792, RFC 4443).
public enum ICMPMessage: Sendable, Equatable {
    /// An echo request: the rest of the message is to be mirrored.
    case echoRequest
    /// An error about a TCP segment or a UDP datagram this host sent.
    case error(ICMPError, about: QuotedSegment)
    /// Anything else: nothing to do.
    case other
}

/// The kinds of error a quoted segment can have met.
public enum ICMPError: UInt8, Sendable {
    /// Net or host unreachable, source route failed, no route, hop limit or reassembly time exceeded, parameter problem: soft
    /// (RFC 9293 MUST-56).
    case soft
    /// Protocol or port unreachable, administratively prohibited: hard while a connection opens (RFC 5927 §6).
    case hard
    /// The packet was larger than a link on the way takes.
    case packetTooBig
}

/// The segment an ICMP error quotes, as far as the quotation is promised to reach (RFC 792: eight octets).
public struct QuotedSegment: Sendable, Equatable {
    /// The end that sent the segment: us.
    public var source: Endpoint
    /// The end it was meant for.
    public var destination: Endpoint
    /// Its sequence number; of a datagram what stands in its place.
    public var sequence: SequenceNumber
    /// The next hop's MTU in octets that a "packet too big" names, or RFC 1191 §7's guess when it names none.
    public var mtu: Int
    /// Whether it is a UDP datagram.
    public var isDatagram: Bool

    /// Makes a quotation.
    public init(source: Endpoint, destination: Endpoint, sequence: SequenceNumber, mtu: Int, isDatagram: Bool = false) {
        self.source = source
        self.destination = destination
        self.sequence = sequence
        self.mtu = mtu
        self.isDatagram = isDatagram
    }
}

extension ICMPMessage {
    /// Reads an ICMPv4 message. Errors that quote something other than TCP and UDP are `.other`.
    ///
    /// - Throws: `badICMP` when it is too short, `badChecksum` when its sum is wrong.
    public init(parsingV4 message: RawSpan) throws(PacketFault) {
        guard message.byteCount >= 8 else { throw .badICMP }
        var checksum = Checksum()
        checksum.add(message)
        guard checksum.value == 0 else { throw .badChecksum }
        let kind: ICMPError
        var mtu = 0
        switch (message.u8(0), message.u8(1)) {
        case (8, 0):
            self = .echoRequest
            return
        case (3, 4):
            kind = .packetTooBig
            mtu = Int(message.be16(6))
            if mtu == 0, message.byteCount >= 12 { mtu = ICMPMessage.plateau(below: Int(message.be16(10))) }
        case (3, 2), (3, 3), (3, 9), (3, 10), (3, 13): kind = .hard
        case (3, _), (11, _), (12, _): kind = .soft
        default:  // RFC 9293 MUST-55: source quench is among these
            self = .other
            return
        }
        self = try ICMPMessage.error(kind, version: 4, quoting: message.extracting(8..<message.byteCount), mtu: mtu)
    }

    /// Reads an ICMPv6 message.
    ///
    /// - Throws: `badICMP` when it is too short, `badChecksum` when its sum is wrong.
    public init(parsingV6 message: RawSpan, source: IPAddress, destination: IPAddress) throws(PacketFault) {
        guard message.byteCount >= 8 else { throw .badICMP }
        var checksum = Checksum()
        checksum.add(message)
        checksum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6, length: message.byteCount)
        guard checksum.value == 0 else { throw .badChecksum }
        let kind: ICMPError
        var mtu = 0
        switch (message.u8(0), message.u8(1)) {
        case (128, 0):
            self = .echoRequest
            return
        case (2, _):
            kind = .packetTooBig
            mtu = Int(clamping: message.be32(4))
        case (1, 1), (1, 4), (4, 1): kind = .hard
        case (1, _), (3, _), (4, _): kind = .soft
        default:
            self = .other
            return
        }
        self = try ICMPMessage.error(kind, version: 6, quoting: message.extracting(8..<message.byteCount), mtu: mtu)
    }

    /// RFC 1191 §7.1: the MTUs that links have; what a router that names none can have meant. Zero below the least.
    private static func plateau(below length: Int) -> Int {
        let plateaus: [11 of Int] = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68]
        for index in plateaus.indices where plateaus[index] < length { return plateaus[index] }
        return 0
    }

    private static func error(
        _ kind: ICMPError, version: UInt8, quoting packet: RawSpan, mtu: Int
    ) throws(PacketFault) -> ICMPMessage {
        guard packet.byteCount >= 20, packet.u8(0) &>> 4 == version else { throw .badICMP }
        let isIPv4 = version == 4
        let headerLength = isIPv4 ? Int(packet.u8(0) & 0xF) * 4 : 40
        guard headerLength >= 20, packet.byteCount >= headerLength + 8 else { throw .badICMP }
        let transport = packet.u8(isIPv4 ? 9 : 6)
        guard transport == IPProtocol.tcp || transport == IPProtocol.udp else { return .other }
        // A later fragment starts with data where the first has the ports.
        if isIPv4, packet.be16(6) & 0x1FFF != 0 { return .other }
        let source: IPAddress
        let destination: IPAddress
        if isIPv4 {
            source = IPAddress(ipv4: packet.be32(12))
            destination = IPAddress(ipv4: packet.be32(16))
        } else {
            source = IPAddress(high: packet.be64(8), low: packet.be64(16))
            destination = IPAddress(high: packet.be64(24), low: packet.be64(32))
        }
        return .error(
            kind,
            about: QuotedSegment(
                source: Endpoint(source, packet.be16(headerLength)),
                destination: Endpoint(destination, packet.be16(headerLength + 2)),
                sequence: SequenceNumber(packet.be32(headerLength + 4)), mtu: mtu,
                isDatagram: transport == IPProtocol.udp))
    }
}
