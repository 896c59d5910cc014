public import TCPStack
internal import TCPWire

/// Which way a packet went, as the host sees it.
public enum PacketDirection: Sendable {
    /// To this host.
    case received
    /// From this host.
    case sent
}

/// A device that shows every packet to an observer on its way: for capture files and traces.
///
/// The observer sees each packet once, when it crosses: one that the link had no room for is shown when it is taken.
public final class ObservedDevice: PacketDevice {
    private let device: any PacketDevice
    private let observer: @Sendable (RawSpan, PacketDirection) -> Void
    private let finished = PacketBuffer()

    /// Puts an observer before a device.
    ///
    /// - Parameters:
    ///   - device: the link.
    ///   - observer: is given each packet with the checksum it has, or will have when the link has finished it.
    public init(
        _ device: sending any PacketDevice, observer: @escaping @Sendable (RawSpan, PacketDirection) -> Void
    ) {
        self.device = device
        self.observer = observer
    }

    /// The link's.
    public var mtu: Int { device.mtu }
    /// The link's.
    public var offload: Offload { device.offload }
    /// The link's.
    public var descriptor: CInt? { device.descriptor }
    /// The link's business.
    public func attach(wake: @escaping @Sendable () -> Void) { device.attach(wake: wake) }
    /// Closes the link.
    public func close() { device.close() }

    /// See `PacketDevice`.
    public func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        guard let packet = try device.read(into: &buffer) else { return nil }
        // Checksums that this machine's kernel left to the link are partial too.
        show(buffer.bytes.extracting(0..<packet.length), .received, finish: packet.metadata.isChecksumTrusted)
        return packet
    }

    /// See `PacketDevice`.
    public func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        guard try device.write(packet, shape) else { return false }
        show(packet, .sent, finish: shape.isChecksumPartial)
        return true
    }

    private func show(_ packet: RawSpan, _ direction: PacketDirection, finish: Bool) {
        guard finish, let header = try? IPHeader(parsing: packet), header.protocolNumber == IPProtocol.tcp,
            !header.isFragment, header.totalLength - header.headerLength >= 20,
            header.totalLength <= packetBufferSize
        else {
            observer(packet, direction)
            return
        }
        var copy = finished.octets.mutableBytes
        copy.put(packet.extracting(0..<header.totalLength), at: 0)
        copy.put16(0, at: header.headerLength + 16)
        TCPHeader.writeChecksum(
            in: &copy, range: header.headerLength..<header.totalLength, source: header.source,
            destination: header.destination, partial: false)
        observer(copy.bytes.extracting(0..<header.totalLength), direction)
    }
}
