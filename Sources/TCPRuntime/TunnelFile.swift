internal import CLinux
internal import Glibc
internal import TCPStack
internal import TCPWire

/// The file of `/dev/net/tun` that an interface of the kernel's is read and written by: what TUN and TAP have in common.
///
/// With offload, each packet goes with a header of virtio's (`virtio_net_hdr`) that tells segment size and what is left of
/// the checksum, so that 64 KiB cross in one call each way.
final class TunnelFile {
    /// What the interface carries.
    enum Kind {
        /// IP packets.
        case tun
        /// Ethernet frames.
        case tap

        /// Octets before the IP header.
        var headerLength: Int { self == .tun ? 0 : EthernetHeader.length }

        /// Whether a packet, of which `bytes` is the beginning, is of IPv4.
        func isIPv4(_ bytes: UnsafeRawBufferPointer) -> Bool {
            switch self {
            case .tun: bytes[0] &>> 4 == 4
            case .tap: bytes[12] == 0x08 && bytes[13] == 0x00
            }
        }
    }

    let name: String
    private(set) var mtu: Int
    /// What the kernel granted.
    let offload: Offload
    /// Whether the interface was there before.
    let wasThere: Bool
    let descriptor: CInt
    private(set) var droppedPackets: UInt64 = 0
    /// Linux takes IPv4 packets of more than 64 KiB since 6.3; once it has refused one (its memory is in pieces), it is
    /// given none any more.
    private(set) var largestGathered: Int

    private let kind: Kind
    private var isClosed = false
    /// Where the kernel finds, for each direction, the virtio header and the packet.
    private let vectors: UnsafeMutablePointer<iovec>
    private let header: UnsafeMutableRawBufferPointer

    /// Makes the interface `name`, or attaches to it if it is there and nobody holds it.
    init(name: String, kind: Kind, offload wantsOffload: Bool) throws(DeviceError) {
        guard Interface.isValidName(name) else { throw .badName(name) }
        let wasThere = Interface.exists(name)
        let file = try TunnelFile.openFile()
        do {
            let hasHeader = try TunnelFile.attach(file, name, kind, header: wantsOffload, wasThere: wasThere)
            offload = hasHeader && TunnelFile.enableOffload(file) ? .full : .none
            // Without the offloads the header would say nothing.
            if hasHeader, offload == .none {
                _ = try TunnelFile.attach(file, name, kind, header: false, wasThere: wasThere)
            }
            mtu = try Interface.mtu(of: name)
        } catch {
            Glibc.close(file)
            throw error
        }
        largestGathered = TunnelFile.takesLargePackets ? PayloadFragments.largestPacket : 65_535
        self.name = name
        self.kind = kind
        self.wasThere = wasThere
        descriptor = file
        vectors = .allocate(capacity: PayloadFragments.maximumCount + 2)
        header = .allocate(byteCount: 16, alignment: 8)
        header.initializeMemory(as: UInt8.self, repeating: 0)
        vectors[0] = iovec(iov_base: header.baseAddress, iov_len: VirtioHeader.length)
        vectors[1] = iovec()
    }

    deinit {
        close()
        vectors.deallocate()
        header.deallocate()
    }

    /// Lets go of the interface, which vanishes if this object made it.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        Glibc.close(descriptor)
    }

    /// Asks the kernel for the MTU again.
    func refreshMTU(limit: Int?) throws(DeviceError) { mtu = min(try Interface.mtu(of: name), limit ?? .max) }

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
        _ file: CInt, _ name: String, _ kind: Kind, header: Bool, wasThere: Bool
    ) throws(DeviceError) -> Bool {
        var features: UInt32 = 0
        let knows = ioctl(file, UInt(linux_TUNGETFEATURES), &features) == 0
        let hasHeader = header && knows && features & UInt32(IFF_VNET_HDR) != 0
        var request = Interface.Request(name: name)
        request.flags =
            UInt16((kind == .tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI) | (hasHeader ? UInt16(IFF_VNET_HDR) : 0)
        if request.perform(linux_TUNSETIFF, on: file) { return hasHeader }
        switch errno {
        case EPERM, EACCES: throw .notPermitted(wasThere ? "attach to \(name)" : "make the interface \(name)")
        case EBUSY: throw .busy(name)
        case EINVAL where wasThere: throw kind == .tun ? .notTUN(name) : .notTAP(name)
        case EINVAL: throw .badName(name)
        default: throw .configuration("make the interface \(name)", errno)
        }
    }

    private static func enableOffload(_ file: CInt) -> Bool {
        var size = CInt(VirtioHeader.length)
        guard ioctl(file, UInt(linux_TUNSETVNETHDRSZ), &size) == 0 else { return false }
        let flags = UInt(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
        return ioctl(file, UInt(linux_TUNSETOFFLOAD), UnsafeMutableRawPointer(bitPattern: flags)!) == 0
    }

    /// Whether this kernel takes IPv4 packets whose length their header cannot say.
    private static let takesLargePackets: Bool = {
        var names = utsname()
        guard uname(&names) == 0 else { return false }
        let release = withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 3)
    }()

    // MARK: Packets

    /// With the virtio header the kernel gathers anyway.
    var gathers: Bool { offload.superSegments }

    func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        let hasHeader = offload.superSegments
        let count = buffer.withUnsafeMutableBytes { bytes in
            guard hasHeader else { return Glibc.read(descriptor, bytes.baseAddress!, bytes.count) }
            vectors[1] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            return readv(descriptor, vectors, 2)
        }
        guard count > 0 else {
            if count == 0 { return nil }
            switch errno {
            case EAGAIN, EINTR: return nil
            default: throw .lost(errno)
            }
        }
        guard hasHeader else { return ReceivedPacket(length: count) }
        guard count > VirtioHeader.length else { return nil }
        return ReceivedPacket(length: count - VirtioHeader.length, metadata: VirtioHeader.metadata(header))
    }

    func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        let hasHeader = offload.superSegments
        let count = packet.withUnsafeBytes { bytes in
            guard hasHeader else { return Glibc.write(descriptor, bytes.baseAddress!, bytes.count) }
            VirtioHeader.write(shape, isIPv4: kind.isIPv4(bytes), to: header)
            vectors[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            return writev(descriptor, vectors, 2)
        }
        return try isTaken(count)
    }

    func write(
        headers: RawSpan, payload: PayloadFragments, _ shape: TransmittedPacket
    ) throws(DeviceError) -> Bool {
        let count = headers.withUnsafeBytes { bytes in
            VirtioHeader.write(shape, isIPv4: kind.isIPv4(bytes), to: header)
            vectors[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            for index in 0..<payload.count {
                let fragment = payload[index]
                vectors[index + 2] = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: fragment.baseAddress), iov_len: fragment.count)
            }
            return writev(descriptor, vectors, CInt(payload.count + 2))
        }
        let isLarge = shape.length - kind.headerLength > 65_535
        if count < 0, isLarge, [ENOBUFS, ENOMEM, EMSGSIZE, EINVAL].contains(errno) { largestGathered = 65_535 }
        return try isTaken(count)
    }

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
