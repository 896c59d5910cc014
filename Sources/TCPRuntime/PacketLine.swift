internal import TCPWire

/// One line of text about a packet, for people who watch.
public enum PacketLine {
    /// Describes a packet of a device: a frame by what it carries, or by the ends and the type of what nobody here reads.
    public static func describe(_ packet: RawSpan, _ linkLayer: LinkLayer) -> String {
        switch linkLayer {
        case .ip: describe(packet)
        case .ethernet: frame(packet)
        }
    }

    /// Describes `packet`: ends, flags, sequence and acknowledgment numbers, window, options, length; or what it is instead
    /// of TCP, or why it cannot be read.
    public static func describe(_ packet: RawSpan) -> String {
        let header: IPHeader
        do {
            header = try IPHeader(parsing: packet)
        } catch {
            return "\(packet.byteCount) octets: \(error.explanation)"
        }
        let ends = "\(header.source) > \(header.destination)"
        if header.isFragment { return "\(ends) fragment, protocol \(header.protocolNumber)" }
        let payload = packet.extracting(header.headerLength..<header.totalLength)
        switch header.protocolNumber {
        case IPProtocol.tcp: return tcp(payload, header)
        case IPProtocol.icmp: return "\(ends) ICMP \(kind(payload)) length \(payload.byteCount)"
        case IPProtocol.icmpv6:
            return "\(ends) ICMPv6 \(discovery(packet, header) ?? kind(payload)) length \(payload.byteCount)"
        case let number: return "\(ends) protocol \(number) length \(payload.byteCount)"
        }
    }

    private static func kind(_ message: RawSpan) -> String {
        message.byteCount >= 2 ? "type \(message.u8(0)) code \(message.u8(1))" : "cut short"
    }

    private static func tcp(_ segment: RawSpan, _ header: IPHeader) -> String {
        let tcp: TCPHeader
        do {
            tcp = try TCPHeader(parsing: segment)
        } catch {
            return "\(header.source) > \(header.destination) TCP: \(error.explanation)"
        }
        let from = Endpoint(header.source, tcp.sourcePort)
        let to = Endpoint(header.destination, tcp.destinationPort)
        let flags = tcp.flags.names.joined(separator: ",")
        var line = "\(from) > \(to) [\(flags)] seq \(tcp.sequence.rawValue)"
        if tcp.flags.contains(.ack) { line += " ack \(tcp.acknowledgment.rawValue)" }
        line += " win \(tcp.window)"
        let options = describe(tcp.options)
        if !options.isEmpty { line += " <\(options)>" }
        return line + " length \(segment.byteCount - tcp.headerLength)"
    }

    private static func describe(_ options: TCPOptions) -> String {
        var words: [String] = []
        if let size = options.maximumSegmentSize { words.append("mss \(size)") }
        if let shift = options.windowScale { words.append("wscale \(shift)") }
        if let cookie = options.fastOpen {
            let digits = (0..<cookie.count).map { String(256 + Int(cookie[$0]), radix: 16).dropFirst() }
            words.append(cookie.isRequest ? "FO" : "FO \(digits.joined())")
        }
        if options.sackPermitted { words.append("sackOK") }
        if let timestamps = options.timestamps { words.append("ts \(timestamps.value) \(timestamps.echo)") }
        for index in 0..<options.sackCount {
            let block = options.sackBlocks[index]
            words.append("sack \(block.start.rawValue)-\(block.end.rawValue)")
        }
        return words.joined(separator: ",")
    }
}
