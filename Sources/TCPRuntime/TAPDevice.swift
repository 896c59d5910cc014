public import TCPStack
public import TCPWire

/// A TAP interface of the Linux kernel: an Ethernet segment with the kernel at one end and a host at the other, or, where
/// the interface is in a bridge, with everyone there is behind it. Frames carry no preamble and no frame check sequence.
///
/// The host is a station of its own with `address`; the interface's own address is the kernel's.
public final class TAPDevice: KernelInterface {
    private let file: TunnelFile
    /// The host's address on the segment.
    public let address: MACAddress

    /// Makes the interface `name`, or attaches to it if it is there and nobody holds it. One that is made goes with this
    /// object.
    ///
    /// - Parameters:
    ///   - name: 1 to 15 octets.
    ///   - address: the host's address on the segment; by default one of its own choice that is locally administered.
    ///   - offload: whether to ask for offload. A kernel without it gives a plain interface.
    /// - Throws: `DeviceError`: `noTUN`, `notPermitted`, `busy`, `badName`, `notTAP`, and `invalid` for an address that no
    ///   station can have.
    public init(name: String, address: MACAddress = .random(), offload: Bool = true) throws(DeviceError) {
        guard address.isUnicast else {
            throw .invalid("\(address) cannot be a station's address: choose one that is neither multicast nor zero.")
        }
        self.address = address
        file = try TunnelFile(name: name, kind: .tap, offload: offload)
    }

    /// See `KernelInterface`.
    public var name: String { file.name }
    /// Octets of the largest IP packet in a frame.
    public var mtu: Int { file.mtu }
    /// Ethernet.
    public var linkLayer: LinkLayer { .ethernet(address) }
    /// What the kernel granted.
    public var offload: Offload { file.offload }
    /// Whether the interface was there before, and so stays as it is.
    public var wasThere: Bool { file.wasThere }
    /// The descriptor of `/dev/net/tun`.
    public var descriptor: CInt? { file.descriptor }
    /// Frames that the interface would not carry: it is down, or the kernel had no memory.
    public var droppedPackets: UInt64 { file.droppedPackets }
    /// See `PacketDevice`.
    public var gathers: Bool { file.gathers }
    /// See `PacketDevice`.
    public var largestGathered: Int { file.largestGathered }

    /// Asks the kernel for the MTU again, after it was configured; a host never sends more than `limit` octets a packet.
    ///
    /// - Throws: `DeviceError.configuration`.
    public func refreshMTU(limit: Int? = nil) throws(DeviceError) { try file.refreshMTU(limit: limit) }

    /// See `PacketDevice`.
    public func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        try file.read(into: &buffer)
    }

    /// See `PacketDevice`.
    public func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        try file.write(packet, shape)
    }

    /// See `PacketDevice`.
    public func write(
        headers: RawSpan, payload: PayloadFragments, _ shape: TransmittedPacket
    ) throws(DeviceError) -> Bool {
        try file.write(headers: headers, payload: payload, shape)
    }

    /// Lets go of the interface, which vanishes if this object made it.
    public func close() { file.close() }
}
