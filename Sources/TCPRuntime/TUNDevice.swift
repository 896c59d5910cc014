internal import CLinux
internal import Glibc
public import TCPStack
internal import TCPWire

/// A TUN interface of the Linux kernel: what the kernel routes to it is read here, what is written here the kernel receives.
///
/// With offload, each packet goes with a header of virtio's (`virtio_net_hdr`) that tells segment size and what is left of
/// the checksum, so that 64 KiB cross in one call each way.
public final class TUNDevice: PacketDevice {
    /// The interface's name.
    public let name: String
    /// The MTU in octets.
    public private(set) var mtu: Int
    /// What the kernel granted.
    public let offload: Offload
    /// Whether the interface was there before, and so stays as it is.
    public let wasThere: Bool
    /// The descriptor of `/dev/net/tun`.
    public var descriptor: CInt? { file }
    /// Packets that the interface would not carry: it is down, or the kernel had no memory.
    public private(set) var droppedPackets: UInt64 = 0
    /// See `PacketDevice`. Linux takes IPv4 packets of more than 64 KiB since 6.3; once it has refused one (its memory is
    /// in pieces), it is given none any more.
    public private(set) var largestGathered: Int

    private let file: CInt
    private var isClosed = false
    /// Where the kernel finds, for each direction, the virtio header and the packet.
    private let vectors: UnsafeMutablePointer<iovec>
    private let header: UnsafeMutableRawBufferPointer
    /// The virtio header without its optional field.
    static let headerSize = 10

    /// Makes the interface `name`, or attaches to it if it is there and nobody holds it. One that is made goes with this
    /// object.
    ///
    /// - Parameters:
    ///   - name: 1 to 15 octets.
    ///   - offload: whether to ask for offload. A kernel without it gives a plain interface.
    /// - Throws: `DeviceError`: `noTUN`, `notPermitted`, `busy`, `badName`, `notTUN`.
    public init(name: String, offload wantsOffload: Bool = true) throws(DeviceError) {
        guard Interface.isValidName(name) else { throw .badName(name) }
        let wasThere = Interface.exists(name)
        let file = try TUNDevice.openFile()
        do {
            let hasHeader = try TUNDevice.attach(file, name: name, header: wantsOffload, wasThere: wasThere)
            offload = hasHeader && TUNDevice.enableOffload(file) ? .full : .none
            // Without the offloads the header would say nothing.
            if hasHeader, offload == .none {
                _ = try TUNDevice.attach(file, name: name, header: false, wasThere: wasThere)
            }
            mtu = try Interface.mtu(of: name)
        } catch {
            Glibc.close(file)
            throw error
        }
        largestGathered = TUNDevice.takesLargePackets ? PayloadFragments.largestPacket : 65_535
        self.name = name
        self.file = file
        self.wasThere = wasThere
        vectors = .allocate(capacity: PayloadFragments.maximumCount + 2)
        header = .allocate(byteCount: 16, alignment: 8)
        header.initializeMemory(as: UInt8.self, repeating: 0)
        vectors[0] = iovec(iov_base: header.baseAddress, iov_len: TUNDevice.headerSize)
        vectors[1] = iovec()
    }

    deinit {
        close()
        vectors.deallocate()
        header.deallocate()
    }

    /// Lets go of the interface, which vanishes if this object made it.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        Glibc.close(file)
    }

    // MARK: Opening

    private static func openFile() throws(DeviceError) -> CInt {
        let file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        if file >= 0 { return file }
        switch errno {
        case ENOENT, ENODEV, ENXIO: throw .noTUN
        case EACCES, EPERM: throw .notPermitted("open /dev/net/tun")
        default: throw .system("descriptor for /dev/net/tun", errno)
        }
    }

    /// Attaches `file` to the interface. Returns whether packets carry a virtio header.
    private static func attach(
        _ file: CInt, name: String, header: Bool, wasThere: Bool
    ) throws(DeviceError) -> Bool {
        var features: UInt32 = 0
        let knows = ioctl(file, UInt(linux_TUNGETFEATURES), &features) == 0
        let hasHeader = header && knows && features & UInt32(IFF_VNET_HDR) != 0
        var request = Interface.Request(name: name)
        request.flags = UInt16(IFF_TUN | IFF_NO_PI) | (hasHeader ? UInt16(IFF_VNET_HDR) : 0)
        if request.perform(linux_TUNSETIFF, on: file) { return hasHeader }
        switch errno {
        case EPERM, EACCES: throw .notPermitted(wasThere ? "attach to \(name)" : "make the interface \(name)")
        case EBUSY: throw .busy(name)
        case EINVAL where wasThere: throw .notTUN(name)
        case EINVAL: throw .badName(name)
        default: throw .configuration("make the interface \(name)", errno)
        }
    }

    private static func enableOffload(_ file: CInt) -> Bool {
        var size = CInt(headerSize)
        guard ioctl(file, UInt(linux_TUNSETVNETHDRSZ), &size) == 0 else { return false }
        let flags = UInt(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
        return ioctl(file, UInt(linux_TUNSETOFFLOAD), UnsafeMutableRawPointer(bitPattern: flags)!) == 0
    }

    // MARK: Packets

    /// See `PacketDevice`.
    public func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        let hasHeader = offload.superSegments
        let count = buffer.withUnsafeMutableBytes { bytes in
            guard hasHeader else { return Glibc.read(file, bytes.baseAddress!, bytes.count) }
            vectors[1] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            return readv(file, vectors, 2)
        }
        guard count > 0 else {
            if count == 0 { return nil }
            switch errno {
            case EAGAIN, EINTR: return nil
            default: throw .lost(errno)
            }
        }
        guard hasHeader else { return ReceivedPacket(length: count) }
        guard count > TUNDevice.headerSize else { return nil }
        return ReceivedPacket(length: count - TUNDevice.headerSize, metadata: VirtioHeader.metadata(header))
    }

    /// See `PacketDevice`.
    public func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        let hasHeader = offload.superSegments
        let count = packet.withUnsafeBytes { bytes in
            guard hasHeader else { return Glibc.write(file, bytes.baseAddress!, bytes.count) }
            VirtioHeader.write(shape, isIPv4: bytes[0] &>> 4 == 4, to: header)
            vectors[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            return writev(file, vectors, 2)
        }
        return try isTaken(count)
    }

    /// With the virtio header the kernel gathers anyway.
    public var gathers: Bool { offload.superSegments }

    /// See `PacketDevice`.
    public func write(
        headers: RawSpan, payload: PayloadFragments, _ shape: TransmittedPacket
    ) throws(DeviceError) -> Bool {
        let count = headers.withUnsafeBytes { bytes in
            VirtioHeader.write(shape, isIPv4: bytes[0] &>> 4 == 4, to: header)
            vectors[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            for index in 0..<payload.count {
                let fragment = payload[index]
                vectors[index + 2] = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: fragment.baseAddress), iov_len: fragment.count)
            }
            return writev(file, vectors, CInt(payload.count + 2))
        }
        if count < 0, [ENOBUFS, ENOMEM, EMSGSIZE, EINVAL].contains(errno), shape.length > 65_535 {
            largestGathered = 65_535
        }
        return try isTaken(count)
    }

    /// Whether this kernel takes IPv4 packets whose length their header cannot say.
    private static let takesLargePackets: Bool = {
        var names = utsname()
        guard uname(&names) == 0 else { return false }
        let release = withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 3)
    }()

    private func isTaken(_ count: Int) throws(DeviceError) -> Bool {
        if count >= 0 { return true }
        switch errno {
        case EAGAIN, EINTR:
            return false
        case EBADF, EBADFD, ENODEV, ENXIO:
            throw .lost(errno)
        default:
            // EIO: the interface is down; ENOBUFS and ENOMEM: no room in the kernel. The network loses packets: TCP minds that.
            droppedPackets += 1
            return true
        }
    }
}

/// The header of virtio's that goes before each packet: flags, GSO type, header length, segment size, checksum start and
/// offset, 16-bit fields in the machine's own byte order.
package enum VirtioHeader {
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

extension TUNDevice {
    /// Asks the kernel for the MTU again, after it was configured; a host never sends more than `limit` octets a packet.
    ///
    /// - Throws: `DeviceError.configuration`.
    public func refreshMTU(limit: Int? = nil) throws(DeviceError) {
        mtu = min(try Interface.mtu(of: name), limit ?? .max)
    }
}
