import TCPEngine
import TCPStack
import TCPWire

/// The other end of one four-tuple, as far as an attacker on the path knows the conversation.
struct FuzzedPeer {
    let endpoint: Endpoint
    /// The stack's end.
    var target: Endpoint
    /// The peer's initial number, and the next one it sends.
    let initial: SequenceNumber
    var next: SequenceNumber
    /// The stack's next number as seen: the end of the latest segment.
    var stackNext = SequenceNumber(0)
    /// What the stack last acknowledged, and the window behind it.
    var acknowledged = SequenceNumber(0)
    var edge = SequenceNumber(0)
    var stackInitial = SequenceNumber(0)
    /// Whether both ends agreed on timestamps.
    var usesTimestamps: Bool
    var lastTimestamp: UInt32 = 0
    var shift = 0
    var timestampBase: UInt32 = 0x7FFF_FF00

    /// Takes note of what the stack sends to this peer.
    mutating func observe(_ packet: SentPacket) {
        guard let tcp = packet.tcp, !tcp.flags.contains(.rst) else { return }
        if tcp.flags.contains(.syn) {
            stackInitial = tcp.sequence
            stackNext = tcp.sequence + 1
            target.port = tcp.sourcePort
            shift = Int(tcp.options.windowScale ?? 0)
            if !tcp.flags.contains(.ack) || tcp.options.timestamps == nil {
                usesTimestamps = tcp.options.timestamps != nil && usesTimestamps
            }
        }
        stackNext = .later(stackNext, tcp.sequence + packet.sequenceLength)
        if tcp.flags.contains(.ack) {
            acknowledged = tcp.acknowledgment
            edge = tcp.acknowledgment + Int(tcp.window) << (tcp.flags.contains(.syn) ? 0 : shift)
        }
        if let stamps = tcp.options.timestamps { lastTimestamp = stamps.value }
    }
}

/// A TCP segment to be injected, options as raw octets.
struct ForgedSegment {
    var source: Endpoint
    var destination: Endpoint
    var sequence = SequenceNumber(0)
    var acknowledgment = SequenceNumber(0)
    var flags: TCPFlags = .ack
    var window: UInt16 = 65535
    var urgent: UInt16 = 0
    var options: [UInt8] = []
    var payload: [UInt8] = []
    var hopLimit: UInt8 = 64
    var hasWrongChecksum = false

    /// The packet on the wire.
    func packet() -> [UInt8] {
        let ip = IPHeader(
            source: source.address, destination: destination.address, protocolNumber: IPProtocol.tcp, hopLimit: hopLimit
        )
        let padded = options.prefix(40) + [UInt8](repeating: 0, count: (4 - min(options.count, 40) % 4) % 4)
        let length = 20 + padded.count + payload.count
        var bytes = [UInt8](repeating: 0, count: ip.headerLength + 20)
        write(ip, length, options: padded.count, &bytes)
        bytes += padded
        bytes += payload
        seal(&bytes, ip)
        if hasWrongChecksum { bytes[ip.headerLength + 16] ^= 0x10 }
        return bytes
    }

    private func write(_ ip: IPHeader, _ length: Int, options: Int, _ bytes: inout [UInt8]) {
        let header = TCPHeader(
            sourcePort: source.port, destinationPort: destination.port, sequence: sequence,
            acknowledgment: acknowledgment, flags: flags, window: window, urgentPointer: urgent)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        let offset = ip.write(to: &raw, payloadLength: length)
        header.write(to: &raw, at: offset)
        // The options are not the stack's own kind: they are written as octets.
        raw.put16((UInt16(20 + options) / 4) << 12 | flags.rawValue & 0x1FF, at: offset + 12)
    }

    private func seal(_ bytes: inout [UInt8], _ ip: IPHeader) {
        let count = bytes.count
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        TCPHeader.writeChecksum(
            in: &raw, range: ip.headerLength..<count, source: ip.source, destination: ip.destination, partial: false)
    }
}

/// The octets of options as a peer writes them.
enum RawOption {
    static func segmentSize(_ size: UInt16) -> [UInt8] { [2, 4, UInt8(size >> 8), UInt8(truncatingIfNeeded: size)] }
    static func shift(_ shift: UInt8) -> [UInt8] { [1, 3, 3, shift] }
    static let permitsSACK: [UInt8] = [1, 1, 4, 2]
    static func timestamps(_ value: UInt32, echo: UInt32) -> [UInt8] { [1, 1, 8, 10] + words([value, echo]) }
    static func sack(_ blocks: [(SequenceNumber, SequenceNumber)]) -> [UInt8] {
        [1, 1, 5, UInt8(2 + 8 * blocks.count)] + words(blocks.flatMap { [$0.0.rawValue, $0.1.rawValue] })
    }
    private static func words(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
    }
}
