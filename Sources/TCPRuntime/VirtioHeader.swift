internal import CLinux
package import TCPStack

/// The header of virtio's that goes before each packet: flags, GSO type, header length, segment size, checksum start and
/// offset, 16-bit fields in the machine's own byte order.
package enum VirtioHeader {
    /// Octets of a header without its optional field.
    static let length = 10

    /// What a header that came with a packet says of it.
    package static func metadata(_ header: UnsafeMutableRawBufferPointer) -> PacketMetadata {
        var metadata = PacketMetadata()
        let vouched = UInt8(VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)
        metadata.isChecksumTrusted = header[0] & vouched != 0
        switch Int32(header[1] & ~UInt8(VIRTIO_NET_HDR_GSO_ECN)) {
        case VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6:
            metadata.segmentSize = Int(header.load(fromByteOffset: 4, as: UInt16.self))
        default: break
        }
        return metadata
    }

    /// Writes the header of a packet to send.
    package static func write(_ shape: TransmittedPacket, isIPv4: Bool, to header: UnsafeMutableRawBufferPointer) {
        header.storeBytes(of: 0, toByteOffset: 0, as: UInt64.self)
        header.storeBytes(of: 0, toByteOffset: 8, as: UInt16.self)
        if shape.isChecksumPartial {
            header[0] = UInt8(VIRTIO_NET_HDR_F_NEEDS_CSUM)
            header.storeBytes(of: UInt16(shape.transportOffset), toByteOffset: 6, as: UInt16.self)
            header.storeBytes(of: 16, toByteOffset: 8, as: UInt16.self)
        }
        if shape.segmentSize > 0, shape.length - shape.headerLength > shape.segmentSize {
            header[1] = UInt8(isIPv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6)
            header.storeBytes(of: UInt16(shape.headerLength), toByteOffset: 2, as: UInt16.self)
            header.storeBytes(of: UInt16(shape.segmentSize), toByteOffset: 4, as: UInt16.self)
        }
    }
}
