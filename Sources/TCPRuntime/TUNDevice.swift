public import TCPStack

/// A TUN interface of the Linux kernel: what the kernel routes to it is read here, what is written here the kernel receives.
public final class TUNDevice: KernelInterface {
    private let file: TunnelFile

    /// Makes the interface `name`, or attaches to it if it is there and nobody holds it. One that is made goes with this
    /// object.
    ///
    /// - Parameters:
    ///   - name: 1 to 15 octets.
    ///   - offload: whether to ask for offload. A kernel without it gives a plain interface.
    /// - Throws: `DeviceError`: `noTUN`, `notPermitted`, `busy`, `badName`, `notTUN`.
    public init(name: String, offload: Bool = true) throws(DeviceError) {
        file = try TunnelFile(name: name, kind: .tun, offload: offload)
    }

    /// The interface's name.
    public var name: String { file.name }
    /// The MTU in octets.
    public var mtu: Int { file.mtu }
    /// What the kernel granted.
    public var offload: Offload { file.offload }
    /// Whether the interface was there before, and so stays as it is.
    public var wasThere: Bool { file.wasThere }
    /// The descriptor of `/dev/net/tun`.
    public var descriptor: CInt? { file.descriptor }
    /// Packets that the interface would not carry: it is down, or the kernel had no memory.
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
