import TCPStack
import TCPWire

/// A TCP segment the stack has put on the link, taken apart.
struct Segment {
    var time: Instant
    var ip: IPHeader
    var tcp: TCPHeader
    /// The options as they stand on the wire.
    var optionBytes: [UInt8]
    var payload: [UInt8]
    /// The whole packet.
    var packet: [UInt8]

    var source: Endpoint { Endpoint(ip.source, tcp.sourcePort) }
    var destination: Endpoint { Endpoint(ip.destination, tcp.destinationPort) }
    var flags: TCPFlags { tcp.flags }
    var length: Int { payload.count }

    /// SEG.LEN: the octets of data with SYN and FIN counted (RFC 9293 §3.4).
    var sequenceLength: Int { payload.count + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0) }

    /// The SACK blocks in the order of the wire.
    var sack: [SACKBlock] { (0..<tcp.options.sackCount).map { tcp.options.sackBlocks[$0] } }

    /// Takes a packet apart; nil when it is no TCP segment.
    init?(_ packet: [UInt8], at time: Instant) {
        let bytes = packet.span.bytes
        guard let ip = try? IPHeader(parsing: bytes), ip.protocolNumber == IPProtocol.tcp else { return nil }
        let segment = bytes.extracting(ip.headerLength..<ip.totalLength)
        guard let tcp = try? TCPHeader(parsing: segment) else { return nil }
        self.time = time
        self.ip = ip
        self.tcp = tcp
        self.packet = packet
        optionBytes = Array(packet[ip.headerLength + 20..<ip.headerLength + tcp.headerLength])
        payload = Array(packet[ip.headerLength + tcp.headerLength..<ip.totalLength])
    }

    /// Whether the checksum over pseudo-header, header and data is right.
    var hasValidChecksum: Bool {
        let segment = packet.span.bytes.extracting(ip.headerLength..<ip.totalLength)
        return TCPHeader.isChecksumValid(segment, source: ip.source, destination: ip.destination)
    }
}

/// The flags in tcpdump's letters: `[S.]` is SYN and ACK.
func letters(_ flags: TCPFlags) -> String {
    let names: [(TCPFlags, String)] = [
        (.syn, "S"), (.fin, "F"), (.rst, "R"), (.psh, "P"), (.urg, "U"), (.ece, "E"), (.cwr, "W"), (.ae, "A"),
        (.ack, "."),
    ]
    return "[" + names.map { flags.contains($0.0) ? $0.1 : "" }.joined() + "]"
}

/// A segment in tcpdump's manner, its numbers relative to the initial ones where those are known.
func describe(
    _ tcp: TCPHeader, payload: Int, sequenceBase: SequenceNumber?, acknowledgmentBase: SequenceNumber?
) -> String {
    func relative(_ number: SequenceNumber, _ base: SequenceNumber?) -> String {
        guard let base else { return "\(number.rawValue)" }
        return "\(number.distance(from: base))"
    }
    var text = "\(letters(tcp.flags)) seq \(relative(tcp.sequence, sequenceBase))"
    if tcp.flags.contains(.ack) { text += " ack \(relative(tcp.acknowledgment, acknowledgmentBase))" }
    text += " win \(tcp.window) len \(payload)"
    if tcp.flags.contains(.urg) { text += " urg \(tcp.urgentPointer)" }
    var options: [String] = []
    if let mss = tcp.options.maximumSegmentSize { options.append("mss \(mss)") }
    if tcp.options.sackPermitted { options.append("sackOK") }
    if let ts = tcp.options.timestamps { options.append("TS val \(ts.value) ecr \(ts.echo)") }
    if let shift = tcp.options.windowScale { options.append("wscale \(shift)") }
    for index in 0..<tcp.options.sackCount {
        let block = tcp.options.sackBlocks[index]
        options.append("sack \(relative(block.start, acknowledgmentBase)):\(relative(block.end, acknowledgmentBase))")
    }
    return options.isEmpty ? text : text + " <" + options.joined(separator: ",") + ">"
}
