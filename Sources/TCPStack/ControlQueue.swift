import TCPEngine
import TCPWire

/// A segment that belongs to no connection's transmit list: a reset, a SYN-ACK, an acknowledgment in TIME-WAIT.
struct ControlPacket {
    enum Kind: UInt8 {
        case reset
        case synAck
        case acknowledgment
        /// A SYN-ACK of which nothing is remembered.
        case cookie
    }

    var kind: Kind
    var key: FlowKey
    /// Reset and cookie: SEG.SEQ and SEG.ACK.
    var sequence = SequenceNumber(0)
    var acknowledgment = SequenceNumber(0)
    var hasAcknowledgment = false
    /// SYN-ACK and acknowledgment: the small entry. Cookie: the listener's slot.
    var entry: UInt32 = 0
    var trafficClass: UInt8 = 0
    /// Reset of a connection: its TTL or hop limit; zero is the configuration's.
    var hopLimit: UInt8 = 0
    /// Reset of a connection, cookie: RFC 7323 §3.2 wants the option on it.
    var timestamps: TCPTimestamps?
}

/// What waits for the link, oldest first, within a limit: a flood of packets that call for replies costs no memory.
struct ControlQueue: ~Copyable {
    static let limit = 1024
    /// Packets whose places stay when nothing waits, so that replies find them whatever happens to memory.
    static let spare = 64

    private(set) var packets = Ring(
        filler: ControlPacket(
            kind: .reset, key: FlowKey(remote: IPAddress(ipv4: 0), remotePort: 0, local: 0, localPort: 0)),
        spare: ControlQueue.spare)

    /// Takes the places that stay.
    mutating func prepare(_ budget: inout Budget) { _ = packets.reserve(&budget) }

    var isEmpty: Bool { packets.isEmpty }

    /// Bytes charged for the places of packets.
    var bytes: Int { packets.bytes }

    /// Queues a packet; says whether there was room.
    mutating func append(_ packet: ControlPacket, _ budget: inout Budget) -> Bool {
        guard packets.count < ControlQueue.limit else { return false }
        return packets.append(packet, &budget)
    }

    mutating func next(_ budget: inout Budget) -> ControlPacket? { packets.removeFirst(&budget) }
}
