internal import Synchronization
public import TCPStack
public import TCPWire

/// One end of a link in memory: what is written here is read at the other end. For tests, and for two stacks in one program.
/// It carries IP packets, or Ethernet frames between two stations.
///
/// A link with offload carries super-segments whole and vouches for their checksums, as one machine's kernel does.
public final class MemoryLink: PacketDevice, Sendable {
    /// The MTU in octets.
    public let mtu: Int
    /// What packets begin with.
    public let linkLayer: LinkLayer
    /// What the link can do.
    public let offload: Offload
    /// There is none: the other end wakes the loop.
    public var descriptor: CInt? { nil }

    private let incoming: Queue
    private let outgoing: Queue

    private struct Packet {
        var bytes: [UInt8]
        var metadata: PacketMetadata
    }

    /// One direction.
    private final class Queue: Sendable {
        struct Contents {
            var packets: [Packet] = []
            var first = 0
            var isClosed = false
            var wakeReader: (@Sendable () -> Void)?
            var wakeWriter: (@Sendable () -> Void)?
            var writerWaits = false
        }
        let capacity: Int
        let contents = Mutex(Contents())

        init(capacity: Int) { self.capacity = capacity }

        /// Returns whether there was room. A closed queue swallows what it is given.
        func put(_ packet: RawSpan, _ metadata: PacketMetadata) -> Bool {
            let wake: (@Sendable () -> Void)?? = contents.withLock { contents in
                if contents.isClosed { return .some(nil) }
                guard contents.packets.count - contents.first < capacity else {
                    contents.writerWaits = true
                    return nil
                }
                contents.packets.append(Packet(bytes: packet.bytes(), metadata: metadata))
                return .some(contents.wakeReader)
            }
            guard let wake else { return false }
            wake?()
            return true
        }

        func take() -> Packet? {
            let (packet, wake) = contents.withLock { contents -> (Packet?, (@Sendable () -> Void)?) in
                guard contents.first < contents.packets.count else { return (nil, nil) }
                let packet = contents.packets[contents.first]
                contents.first += 1
                if contents.first == contents.packets.count {
                    contents.packets.removeAll(keepingCapacity: true)
                    contents.first = 0
                }
                let wake = contents.writerWaits ? contents.wakeWriter : nil
                contents.writerWaits = false
                return (packet, wake)
            }
            wake?()
            return packet
        }
    }

    private init(mtu: Int, _ linkLayer: LinkLayer, offload: Offload, incoming: Queue, outgoing: Queue) {
        self.mtu = mtu
        self.linkLayer = linkLayer
        self.offload = offload
        self.incoming = incoming
        self.outgoing = outgoing
    }

    /// Makes a link and gives its two ends.
    ///
    /// - Parameters:
    ///   - mtu: octets a packet may have.
    ///   - offload: what the link does for both ends.
    ///   - capacity: packets that may be under way in each direction; past that the link says "not now".
    ///   - stations: the addresses of both ends for a link that carries Ethernet; without them it carries IP packets.
    public static func pair(
        mtu: Int = 1500, offload: Offload = .none, capacity: Int = 256, stations: (MACAddress, MACAddress)? = nil
    ) -> (MemoryLink, MemoryLink) {
        let there = Queue(capacity: capacity)
        let back = Queue(capacity: capacity)
        let layers = stations.map { (LinkLayer.ethernet($0), LinkLayer.ethernet($1)) } ?? (.ip, .ip)
        return (
            MemoryLink(mtu: mtu, layers.0, offload: offload, incoming: back, outgoing: there),
            MemoryLink(mtu: mtu, layers.1, offload: offload, incoming: there, outgoing: back)
        )
    }

    /// See `PacketDevice`.
    public func attach(wake: @escaping @Sendable () -> Void) {
        incoming.contents.withLock { $0.wakeReader = wake }
        outgoing.contents.withLock { $0.wakeWriter = wake }
    }

    /// See `PacketDevice`.
    public func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        guard let packet = incoming.take() else { return nil }
        buffer.put(packet.bytes.span.bytes, at: 0)
        return ReceivedPacket(length: packet.bytes.count, metadata: packet.metadata)
    }

    /// See `PacketDevice`.
    public func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        var metadata = PacketMetadata()
        metadata.isChecksumTrusted = shape.isChecksumPartial
        metadata.segmentSize = shape.segmentSize
        return outgoing.put(packet, metadata)
    }

    /// Takes this end away: what is sent to it vanishes.
    public func close() {
        for queue in [incoming, outgoing] {
            queue.contents.withLock { contents in
                contents.wakeReader = queue === incoming ? nil : contents.wakeReader
                contents.wakeWriter = queue === outgoing ? nil : contents.wakeWriter
            }
        }
        incoming.contents.withLock { $0.isClosed = true }
    }
}
