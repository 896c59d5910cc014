public import TCPWire

/// A packet in the simulated network.
struct Packet {
    /// At least `length` octets.
    var bytes: [UInt8]
    var length: Int
    /// Octets of payload per segment if it is a super-segment.
    var segmentSize = 0
    /// Where the transport header starts if its checksum is unfinished, as a link with checksum offload has it; else −1.
    var unfinishedTransport = -1
    /// Where it goes.
    var direction: LinkDirection?
    var destination: SimulatedNode
    var epoch = 0
    /// When its last bit leaves the direction's queue.
    var departure: Int64 = 0
    /// Whether it is delayed apart from the others, and may be overtaken.
    var isApart = false
    /// Its place in the trace, or −1.
    var traceIndex = -1

    /// Whether the receiver may take the checksum for right.
    var isTrusted: Bool { unfinishedTransport >= 0 }

    /// Does what a link with checksum offload left to do.
    mutating func finishChecksum() {
        guard unfinishedTransport >= 0 else { return }
        let transport = unfinishedTransport
        unfinishedTransport = -1
        var checksum = Checksum()
        checksum.add(bytes.span.bytes.extracting(transport..<length))
        var span = bytes.mutableSpan
        var target = span.mutableBytes
        // The field holds the folded sum of the pseudo-header, so the sum over all is that of the whole segment.
        target.put16(checksum.value, at: transport + 16)
    }
}

/// What a packet says of itself.
struct PacketContents {
    var ip: IPHeader
    /// `nil` if it carries no TCP.
    var header: TCPHeader?
    /// Octets behind the TCP header, or behind the IP header if there is no other.
    var payloadLength: Int

    /// Reads a packet of the network; `nil` if it is not of IP.
    init?(_ packet: borrowing Packet) {
        let bytes = packet.bytes
        self.init(bytes.span.bytes.extracting(0..<packet.length))
    }

    /// Reads a packet; `nil` if it is not of IP.
    init?(_ span: RawSpan) {
        guard let ip = try? IPHeader(parsing: span) else { return nil }
        self.ip = ip
        payloadLength = ip.totalLength - ip.headerLength
        guard ip.protocolNumber == IPProtocol.tcp else { return }
        header = try? TCPHeader(parsing: span.extracting(ip.headerLength..<ip.totalLength))
        payloadLength -= header?.headerLength ?? 0
    }
}

/// A packet that waits in the network until it is let go.
package struct HeldPacket {
    var packet: Packet
    /// The direction it goes.
    package var direction: LinkDirection? { packet.direction }
    /// Its number in the trace, or −1 if nothing is traced.
    package var traceIndex: Int { packet.traceIndex }
    /// Its octets.
    package var bytes: [UInt8] { Array(packet.bytes[0..<packet.length]) }
}

/// Makes IP packets with a TCP segment by hand: for forgeries, old duplicates, and ends that a test plays itself.
public enum RawSegment {
    /// A whole packet with right checksums.
    public static func packet(
        from source: IPAddress, to destination: IPAddress, header: TCPHeader, payload: [UInt8] = []
    ) -> [UInt8] {
        let ip = IPHeader(source: source, destination: destination, protocolNumber: IPProtocol.tcp)
        let headerLength = 20 + header.options.encodedLength
        let total = ip.headerLength + headerLength + payload.count
        var packet = [UInt8](repeating: 0, count: total)
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        ip.write(to: &bytes, payloadLength: headerLength + payload.count)
        header.write(to: &bytes, at: ip.headerLength)
        bytes.put(payload.span.bytes, at: ip.headerLength + headerLength)
        TCPHeader.writeChecksum(
            in: &bytes, range: ip.headerLength..<total, source: source, destination: destination, partial: false)
        return packet
    }

    /// A whole packet between two endpoints; ports are taken from them.
    public static func packet(
        from source: Endpoint, to destination: Endpoint, sequence: SequenceNumber,
        acknowledgment: SequenceNumber = SequenceNumber(0), flags: TCPFlags, window: UInt16 = 65535,
        options: TCPOptions = TCPOptions(), payload: [UInt8] = []
    ) -> [UInt8] {
        packet(
            from: source.address, to: destination.address,
            header: TCPHeader(
                sourcePort: source.port, destinationPort: destination.port, sequence: sequence,
                acknowledgment: acknowledgment, flags: flags, window: window, options: options), payload: payload)
    }

    /// Reads a packet: its IP header, its TCP header and its payload. `nil` if it is no whole TCP segment; the TCP checksum
    /// is not looked at.
    public static func parse(_ packet: [UInt8]) -> (ip: IPHeader, header: TCPHeader, payload: [UInt8])? {
        let span = packet.span.bytes
        guard let ip = try? IPHeader(parsing: span), ip.protocolNumber == IPProtocol.tcp,
            let header = try? TCPHeader(parsing: span.extracting(ip.headerLength..<ip.totalLength))
        else { return nil }
        return (ip, header, Array(packet[(ip.headerLength + header.headerLength)..<ip.totalLength]))
    }
}
