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
    public var linkLayer: LinkLayer { device.linkLayer }
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
        let start = device.linkLayer.headerLength
        guard finish, packet.byteCount > start,
            let (header, field) = ObservedDevice.unfinished(packet.extracting(start..<packet.byteCount))
        else {
            observer(packet, direction)
            return
        }
        let end = start + header.totalLength
        completeCopy(of: packet.extracting(0..<end), header, at: start, field)
        let copy = UnsafeRawBufferPointer(finished.octets)
        observer(copy.bytes.extracting(0..<end), direction)
    }

    /// The IP header of a packet with a whole TCP segment or UDP datagram in it, and where in that the checksum is.
    private static func unfinished(_ packet: RawSpan) -> (IPHeader, field: Int)? {
        guard let header = try? IPHeader(parsing: packet), !header.isFragment, header.totalLength <= largestPacket
        else {
            return nil
        }
        let count = header.totalLength - header.headerLength
        switch header.protocolNumber {
        case IPProtocol.tcp where count >= 20: return (header, 16)
        // RFC 768: zero is none.
        case IPProtocol.udp where count >= 8 && packet.be16(header.headerLength + 6) != 0: return (header, 6)
        default: return nil
        }
    }

    /// Octets of the largest IP packet whose checksum is finished here.
    private static var largestPacket: Int { packetBufferSize - EthernetHeader.length }

    /// Copies a packet, whose IP header is at `start`, and gives the copy the checksum that the link will give the packet.
    private func completeCopy(of packet: RawSpan, _ header: IPHeader, at start: Int, _ field: Int) {
        let copy = finished.octets
        let transport = start + header.headerLength..<packet.byteCount
        packet.withUnsafeBytes { copy.copyMemory(from: $0) }
        copy.storeBytes(of: 0, toByteOffset: transport.lowerBound + field, as: UInt16.self)
        var checksum = Checksum()
        checksum.addPseudoHeader(
            source: header.source, destination: header.destination, protocol: header.protocolNumber,
            length: transport.count)
        checksum.add(copy.bytes.extracting(transport))
        // RFC 768: a sum of zero is sent as its complement, for zero says that there is none.
        let sum = checksum.value == 0 && header.protocolNumber == IPProtocol.udp ? 0xFFFF : checksum.value
        copy.storeBytes(of: sum.bigEndian, toByteOffset: transport.lowerBound + field, as: UInt16.self)
    }
}
