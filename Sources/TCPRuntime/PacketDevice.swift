public import TCPStack
public import TCPWire

/// What a link can take off the stack's hands.
public struct Offload: Sendable, Hashable {
    /// Super-segments of up to 64 KiB cross in one call, both ways (`TransmittedPacket.segmentSize`).
    public var superSegments: Bool
    /// The link finishes and vouches for TCP checksums.
    public var checksums: Bool

    /// Names what a link can do.
    public init(superSegments: Bool, checksums: Bool) {
        self.superSegments = superSegments
        self.checksums = checksums
    }

    /// A plain link: one segment a packet, every checksum made and checked by the stack.
    public static let none = Offload(superSegments: false, checksums: false)
    /// A link that does all there is.
    public static let full = Offload(superSegments: true, checksums: true)
}

/// What a device's packets begin with.
public enum LinkLayer: Sendable, Hashable {
    /// The IP header.
    case ip
    /// An Ethernet header; the host has this address on the segment.
    case ethernet(MACAddress)

    /// Octets before the IP header.
    public var headerLength: Int { self == .ip ? 0 : EthernetHeader.length }
}

/// A packet that a device has put into a buffer.
public struct ReceivedPacket: Sendable {
    /// Octets of the packet, from the start of the buffer.
    public var length: Int
    /// What the device says of it.
    public var metadata: PacketMetadata

    /// Describes a packet.
    public init(length: Int, metadata: PacketMetadata = PacketMetadata()) {
        self.length = length
        self.metadata = metadata
    }
}

/// A link that carries IP packets: a TUN interface, a packet flow of the system, a file, memory. Or one that carries Ethernet
/// frames with such packets in them: a TAP interface. A frame is called a packet here, too.
///
/// A device never blocks and never drops because it is full: it says "not now", and the host waits. It is used by one
/// thread at a time, the one that runs the host's loop, whose executor its conformance may not be tied to.
public protocol PacketDevice: AnyObject, SendableMetatype {
    /// The link's MTU in octets, the link layer's header not counted.
    var mtu: Int { get }

    /// What packets begin with. Does not change.
    var linkLayer: LinkLayer { get }

    /// What the link can do.
    var offload: Offload { get }

    /// A descriptor that polls readable when a packet waits and writable when there is room; `nil` for a device that has
    /// none and calls what `attach` gave it instead.
    var descriptor: CInt? { get }

    /// Tells a device without a descriptor what to call, from any thread, when a packet arrived or room came.
    func attach(wake: @escaping @Sendable () -> Void)

    /// Moves the next packet that arrived into `buffer`, which holds the MTU, and 65,575 octets if the link carries
    /// super-segments, with the link layer's header before them.
    ///
    /// - Returns: the packet's length and metadata, or `nil` when none waits now.
    /// - Throws: `DeviceError` when the link is gone for good.
    func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket?

    /// Takes a packet to send.
    ///
    /// - Returns: whether it was taken; `false` is "not now", and the host offers the same packet again.
    /// - Throws: `DeviceError` when the link is gone for good.
    func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool

    /// Whether `write(headers:payload:_:)` is worth calling: the link gathers a packet from several places.
    var gathers: Bool { get }

    /// Octets of the largest packet that `write(headers:payload:_:)` takes now, from the IP header on.
    var largestGathered: Int { get }

    /// Takes a packet whose payload lies elsewhere. Only called if `gathers`.
    ///
    /// - Returns: as `write(_:_:)`.
    func write(
        headers: RawSpan, payload: PayloadFragments, _ shape: TransmittedPacket
    ) throws(DeviceError) -> Bool

    /// Lets go of the link. Nothing is called afterwards.
    func close()
}

extension PacketDevice {
    /// Packets are IP packets.
    public var linkLayer: LinkLayer { .ip }

    /// Packets are handed over whole.
    public var gathers: Bool { false }

    /// What an IPv4 header can say.
    public var largestGathered: Int { 65_535 }

    /// Never called.
    public func write(
        headers: RawSpan, payload: PayloadFragments, _ shape: TransmittedPacket
    ) throws(DeviceError) -> Bool { preconditionFailure("a device that gathers must say how") }

    /// For devices with a descriptor: nothing to remember.
    public func attach(wake: @escaping @Sendable () -> Void) {}
}

/// A device that is an interface of this machine's kernel.
public protocol KernelInterface: PacketDevice {
    /// The interface's name.
    var name: String { get }
    /// Whether the interface was there before, and so stays as it is.
    var wasThere: Bool { get }
    /// Packets that the interface would not carry: it is down, or the kernel had no memory.
    var droppedPackets: UInt64 { get }
    /// Asks the kernel for the MTU again, after it was configured; a host never sends more than `limit` octets a packet.
    ///
    /// - Throws: `DeviceError.configuration`.
    func refreshMTU(limit: Int?) throws(DeviceError)
}

/// The buffer a host hands its device: the largest IP packet in a frame, with a little to spare.
let packetBufferSize = 65_632

/// Memory for one packet, that stays where it is.
final class PacketBuffer {
    let octets: UnsafeMutableRawBufferPointer

    init(size: Int = packetBufferSize) { octets = .allocate(byteCount: size, alignment: 64) }

    deinit { octets.deallocate() }
}
