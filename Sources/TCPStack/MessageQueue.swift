import TCPEngine
import TCPWire

/// A datagram of ICMP or UDP that waits for its link: what is known of it besides its octets.
struct Message {
    /// Where it goes, and which of this host's addresses it comes from.
    var key: FlowKey
    /// Octets behind the IP header.
    var length: Int
    var protocolNumber: UInt8
    var trafficClass: UInt8 = 0
    var hopLimit: UInt8
    /// Whether routers must not cut it (DF), as far as this host did not.
    var isAtomic = true
    /// The socket that wants to know when it has left; `.max` is none.
    var owner = UInt32.max
    var ownerGeneration: UInt32 = 0

    /// Octets of the description where it waits, in front of the message.
    static let headSize = 40

    /// Octets from the message's start to its checksum.
    var checksumOffset: Int { protocolNumber == IPProtocol.udp ? 6 : 2 }
}

extension Message {
    func write(to head: inout MutableRawSpan) {
        let remote = key.remote
        head.put64(remote.high, at: 0)
        head.put64(remote.low, at: 8)
        head.put16(key.remotePort, at: 16)
        head.put16(key.localPort, at: 18)
        head.put16(key.local, at: 20)
        head.put8(protocolNumber, at: 22)
        head.put8(trafficClass, at: 23)
        head.put8(hopLimit, at: 24)
        head.put8(isAtomic ? 1 : 0, at: 25)
        head.put32(UInt32(truncatingIfNeeded: length), at: 28)
        head.put32(owner, at: 32)
        head.put32(ownerGeneration, at: 36)
    }

    init(head: RawSpan) {
        key = FlowKey(
            remote: IPAddress(high: head.be64(0), low: head.be64(8)), remotePort: head.be16(16), local: head.be16(20),
            localPort: head.be16(18))
        protocolNumber = head.u8(22)
        trafficClass = head.u8(23)
        hopLimit = head.u8(24)
        isAtomic = head.u8(25) != 0
        length = Int(head.be32(28))
        owner = head.be32(32)
        ownerGeneration = head.be32(36)
    }
}

/// Datagrams that wait for a link, oldest first, in blocks of the pool within a limit: a flood of packets that call for
/// replies costs no memory beyond it.
struct MessageQueue: ~Copyable {
    /// Which messages wait for each other, and for no others.
    enum Kind: Int {
        case icmp
        case udp
    }

    private(set) var octets = ByteQueue()
    /// Messages that wait whole.
    private(set) var count = 0

    init() {}

    var isEmpty: Bool { octets.isEmpty }

    /// Queues a message that consists of two parts; says whether there was memory. Nothing stays of one that found none.
    mutating func append(
        _ message: Message, _ first: RawSpan, _ second: RawSpan, _ pool: inout BlockPool, _ budget: inout Budget
    ) -> Bool {
        var head: [40 of UInt8] = .init(repeating: 0)
        var span = head.mutableSpan
        // Safe: octets may have any value.
        var bytes = unsafe span.mutableBytes
        message.write(to: &bytes)
        let before = octets.count
        if octets.append(bytes.bytes, &pool, &budget) == Message.headSize,
            octets.append(first, &pool, &budget) == first.byteCount,
            octets.append(second, &pool, &budget) == second.byteCount
        {
            count &+= 1
            return true
        }
        octets.truncate(to: before, &pool, &budget)
        return false
    }

    /// Takes the description of the oldest message that waits whole; its octets are then the first.
    mutating func next(_ pool: inout BlockPool, _ budget: inout Budget) -> Message? {
        guard count > 0 else { return nil }
        count &-= 1
        var head: [40 of UInt8] = .init(repeating: 0)
        var span = head.mutableSpan
        // Safe: octets may have any value.
        var bytes = unsafe span.mutableBytes
        octets.copy(from: 0, count: Message.headSize, to: &bytes, at: 0, pool)
        octets.removeFirst(Message.headSize, &pool, &budget)
        return Message(head: bytes.bytes)
    }

    /// Moves the first `count` octets into a packet.
    mutating func take(
        _ count: Int, to buffer: inout MutableRawSpan, at offset: Int, _ pool: inout BlockPool,
        _ budget: inout Budget
    ) {
        octets.copy(from: 0, count: count, to: &buffer, at: offset, pool)
        octets.removeFirst(count, &pool, &budget)
    }

    /// Drops the first `count` octets.
    mutating func drop(_ count: Int, _ pool: inout BlockPool, _ budget: inout Budget) {
        octets.removeFirst(count, &pool, &budget)
    }

    /// Gives everything back.
    mutating func removeAll(_ pool: inout BlockPool, _ budget: inout Budget) {
        octets.removeAll(&pool, &budget)
        count = 0
    }

    /// The checksum of the message that begins the queue, whose octets pass through `buffer` for it, in pieces of an even
    /// length. Its field holds zero.
    func checksum(
        _ message: Message, _ ip: IPHeader, through buffer: inout MutableRawSpan, _ pool: borrowing BlockPool
    ) -> UInt16 {
        var checksum = Checksum()
        if message.protocolNumber != IPProtocol.icmp {
            checksum.addPseudoHeader(
                source: ip.source, destination: ip.destination, protocol: message.protocolNumber,
                length: message.length)
        }
        let piece = buffer.byteCount & ~1
        var done = 0
        while done < message.length, piece > 0 {
            let count = min(piece, message.length &- done)
            octets.copy(from: done, count: count, to: &buffer, at: 0, pool)
            checksum.add(buffer.bytes.extracting(0..<count))
            done &+= count
        }
        // RFC 768: zero would say that there is none.
        let value = checksum.value
        return value == 0 && message.protocolNumber == IPProtocol.udp ? 0xFFFF : value
    }
}

/// A message that leaves in fragments.
struct OutgoingMessage {
    var message: Message
    var datagram: OutgoingDatagram
    /// Its checksum, which the first fragment carries.
    var checksum: UInt16
}
