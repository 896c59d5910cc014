internal import CLinux
internal import Glibc
internal import TCPWire

/// A connection to the kernel's routing tables: one request, one answer at a time.
struct Netlink: ~Copyable {
    private let file: CInt
    private var sequence: UInt32 = 0

    init() throws(DeviceError) {
        file = socket(AF_NETLINK, linux_SOCK_RAW, NETLINK_ROUTE)
        guard file >= 0 else { throw .system("netlink socket", errno) }
    }

    deinit { Glibc.close(file) }

    /// Changes MTU and whether the interface is up.
    mutating func setLink(_ index: UInt32, mtu: Int?, up: Bool, step: String) throws(DeviceError) {
        var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK))
        // ifinfomsg: family, padding, type, index, flags, which flags change.
        let upFlag: UInt32 = up ? 1 : 0
        message.append(UInt32(0))
        message.append(index)
        message.append(upFlag)
        message.append(upFlag)
        if let mtu { message.append(attribute: UInt16(IFLA_MTU), UInt32(mtu)) }
        try perform(&message, step: step)
    }

    /// Gives the kernel its end of `link`. An IPv6 address is usable at once: nobody else is on the link to detect.
    mutating func addAddress(_ link: Interface.Link, to index: UInt32, step: String) throws(DeviceError) {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
        var message = NetlinkMessage(type: UInt16(RTM_NEWADDR), flags: UInt16(flags))
        let isIPv4 = link.kernel.isIPv4
        // ifaddrmsg: family, prefix length, flags, scope, index.
        message.append(UInt8(isIPv4 ? AF_INET : AF_INET6))
        message.append(UInt8(link.stack.length))
        message.append(UInt8(0))
        message.append(UInt8(0))
        message.append(index)
        message.append(attribute: UInt16(IFA_LOCAL), address: link.kernel)
        message.append(attribute: UInt16(IFA_ADDRESS), address: link.isPointToPoint ? link.stack.address : link.kernel)
        if !isIPv4 { message.append(attribute: UInt16(IFA_FLAGS), UInt32(IFA_F_NODAD)) }
        try perform(&message, step: step)
    }

    /// Whether the kernel takes packets to `address` for its own.
    mutating func isLocal(_ address: IPAddress, step: String) throws(DeviceError) -> Bool {
        var message = NetlinkMessage(type: UInt16(RTM_GETROUTE), flags: UInt16(NLM_F_REQUEST))
        // rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags.
        message.append(UInt8(address.isIPv4 ? AF_INET : AF_INET6))
        message.append(UInt8(address.bitWidth))
        message.append(UInt16(0))
        message.append(UInt32(0))
        message.append(UInt32(0))
        message.append(attribute: UInt16(RTA_DST.rawValue), address: address)
        let answer = try exchange(&message, step: step)
        let type = answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: UInt16.self) }
        return type == UInt16(RTM_NEWROUTE) && answer.count > 23 && answer[23] == UInt8(RTN_LOCAL)
    }

    /// Sends a request, and gives its answer, 20 octets of it at least.
    private mutating func exchange(_ message: inout NetlinkMessage, step: String) throws(DeviceError) -> [UInt8] {
        sequence += 1
        let request = message.finished(sequence: sequence)
        guard request.withUnsafeBytes({ send(file, $0.baseAddress!, $0.count, 0) }) == request.count else {
            throw .configuration(step, errno)
        }
        var answer = [UInt8](repeating: 0, count: 4096)
        let count = answer.withUnsafeMutableBytes { recv(file, $0.baseAddress!, $0.count, 0) }
        guard count >= 20 else { throw .configuration(step, count < 0 ? errno : EIO) }
        return Array(answer.prefix(count))
    }

    private mutating func perform(_ message: inout NetlinkMessage, step: String) throws(DeviceError) {
        let answer = try exchange(&message, step: step)
        // nlmsghdr of 16 octets, then the negative error number.
        let status = answer.withUnsafeBytes { $0.load(fromByteOffset: 16, as: Int32.self) }
        switch -status {
        case 0: return
        case EPERM, EACCES: throw .notPermitted(step)
        case let number: throw .configuration(step, number)
        }
    }
}

/// A netlink message under construction, in the machine's byte order.
private struct NetlinkMessage {
    private var bytes: [UInt8] = []

    init(type: UInt16, flags: UInt16) {
        append(UInt32(0))
        append(type)
        append(flags)
        append(UInt32(0))
        append(UInt32(0))
    }

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    mutating func append(attribute type: UInt16, _ value: UInt32) {
        append(UInt16(8))
        append(type)
        append(value)
    }

    mutating func append(attribute type: UInt16, address: IPAddress) {
        if address.isIPv4 {
            append(attribute: type, address.ipv4Bits.bigEndian)
        } else {
            append(UInt16(20))
            append(type)
            append(address.high.bigEndian)
            append(address.low.bigEndian)
        }
    }

    /// The message with its length and sequence number filled in.
    func finished(sequence: UInt32) -> [UInt8] {
        var bytes = bytes
        bytes.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: UInt32(raw.count), toByteOffset: 0, as: UInt32.self)
            raw.storeBytes(of: sequence, toByteOffset: 8, as: UInt32.self)
        }
        return bytes
    }
}
