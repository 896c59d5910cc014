import TCPEngine
import TCPWire

/// A segment that belongs to no connection's transmit list: a reset, a SYN-ACK, an acknowledgment in TIME-WAIT.
struct ControlPacket {
    enum Kind: UInt8 {
        case reset
        case synAck
        case acknowledgment
    }

    var kind: Kind
    var key: FlowKey
    /// Reset: SEG.SEQ and SEG.ACK.
    var sequence = SequenceNumber(0)
    var acknowledgment = SequenceNumber(0)
    var hasAcknowledgment = false
    /// SYN-ACK and acknowledgment: the small entry.
    var entry: UInt32 = 0
    var trafficClass: UInt8 = 0
    /// Reset of a connection: its TTL or hop limit; zero is the configuration's.
    var hopLimit: UInt8 = 0
    /// Reset of a connection: RFC 7323 §3.2 wants the option on it.
    var timestamps: TCPTimestamps?
}

/// What waits for the link, oldest first, within a limit: a flood of packets that call for replies costs no memory.
struct ControlQueue: ~Copyable {
    static let limit = 1024

    private var packets: [ControlPacket] = []
    private var head = 0

    var isEmpty: Bool { head == packets.count }

    /// What waits, oldest first.
    var waiting: ArraySlice<ControlPacket> { packets[head...] }

    /// Queues a packet; says whether there was room.
    mutating func append(_ packet: ControlPacket) -> Bool {
        guard packets.count &- head < ControlQueue.limit else { return false }
        if head >= ControlQueue.limit {
            packets.removeFirst(head)
            head = 0
        }
        packets.append(packet)
        return true
    }

    mutating func next() -> ControlPacket? {
        guard head < packets.count else { return nil }
        let packet = packets[head]
        head &+= 1
        if head == packets.count {
            packets.removeAll(keepingCapacity: packets.capacity <= 64)
            head = 0
        }
        return packet
    }
}
