import TCPEngine
import TCPStack
import TCPWire

// getsockopt and setsockopt at TCP's level.
extension VirtualKernel {
    func transportOption(of socket: Socket, _ option: OptionName, _ length: Int) throws(Errno) -> [UInt8] {
        switch option.name {
        case Linux.TCP_INFO:
            // As much as was asked for: newer structures are longer, and what they add has no meaning here.
            let octets = information(of: socket).octets
            return Array(octets.prefix(length)) + [UInt8](repeating: 0, count: max(0, length - octets.count))
        case Linux.TCP_CONGESTION:
            let control = socket.options.congestionControl ?? settings.congestionControl
            // TCP_CA_NAME_MAX octets, filled up with zeroes.
            let name = Array(control.linuxName.utf8)
            return Array((name + [UInt8](repeating: 0, count: 16 - name.count)).prefix(length))
        default: return Array(bytes(try transportNumber(of: socket, option)).prefix(length))
        }
    }

    private func transportNumber(of socket: Socket, _ option: OptionName) throws(Errno) -> Int32 {
        let options = socket.options
        switch option.name {
        case Linux.TCP_NODELAY: return options.noDelay ? 1 : 0
        case Linux.TCP_MAXSEG: return segmentSize(socket)
        case Linux.TCP_CORK: return options.cork ? 1 : 0
        case Linux.TCP_KEEPIDLE: return seconds(options.keepAliveIdle)
        case Linux.TCP_KEEPINTVL: return seconds(options.keepAliveInterval)
        case Linux.TCP_KEEPCNT: return Int32(clamping: options.keepAliveProbes)
        case Linux.TCP_SYNCNT: return Int32(clamping: options.synRetries)
        case Linux.TCP_DEFER_ACCEPT: return Int32(clamping: options.deferAccept)
        case Linux.TCP_WINDOW_CLAMP: return Int32(clamping: options.windowClamp)
        case Linux.TCP_USER_TIMEOUT: return Int32(clamping: options.userTimeout)
        case Linux.TCP_NOTSENT_LOWAT: return options.notSentLowWater.map { Int32(clamping: $0) } ?? -1
        case Linux.TCP_QUICKACK:
            let details = socket.connection.flatMap { stack.details(of: $0) }
            let isQuick =
                details.map { $0.quickAcknowledgments > 0 } ?? options.quickAcknowledgments
                ?? (settings.acknowledgmentPolicy == .linux)
            return isQuick ? 1 : 0
        case Linux.TCP_INQ: return options.tellsQueue ? 1 : 0
        case Linux.TCP_FASTOPEN: return Int32(clamping: options.fastOpenQueue)
        case Linux.TCP_FASTOPEN_CONNECT: return options.fastOpenConnect ? 1 : 0
        default: throw .ENOPROTOOPT
        }
    }

    private func seconds(_ duration: Duration) -> Int32 { Int32(clamping: duration.components.seconds) }

    /// TCP_MAXSEG: of a connection the segment size in force; before it what was chosen, else RFC 9293's default.
    private func segmentSize(_ socket: Socket) -> Int32 {
        guard let id = socket.connection, let details = stack.details(of: id), details.state != .synSent else {
            let chosen = socket.options.maximumSegmentSize
            return Int32(clamping: chosen > 0 ? chosen : socket.family == .ipv4 ? 536 : 1220)
        }
        return Int32(clamping: details.segmentSize)
    }

    func setTransportOption(of socket: Socket, _ option: OptionName, _ value: [UInt8]) throws(Errno) {
        if option.name == Linux.TCP_CONGESTION {
            let name = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            guard let control = CongestionControl(linuxName: name) else { throw .ENOENT }
            socket.options.congestionControl = control
            return
        }
        let number = try integer(value)
        switch option.name {
        case Linux.TCP_NODELAY: socket.options.noDelay = number != 0
        case Linux.TCP_MAXSEG:
            // Linux: 88 to 32767, or zero for the interface's.
            guard number == 0 || (88...32767).contains(number) else { throw .EINVAL }
            socket.options.maximumSegmentSize = Int(number)
        case Linux.TCP_CORK: socket.options.cork = number != 0
        case Linux.TCP_KEEPIDLE: socket.options.keepAliveIdle = .seconds(try within(number, 1...32767))
        case Linux.TCP_KEEPINTVL: socket.options.keepAliveInterval = .seconds(try within(number, 1...32767))
        case Linux.TCP_KEEPCNT: socket.options.keepAliveProbes = Int(try within(number, 1...127))
        case Linux.TCP_SYNCNT: socket.options.synRetries = Int(try within(number, 1...127))
        case Linux.TCP_DEFER_ACCEPT: socket.options.deferAccept = max(0, Int(number))
        case Linux.TCP_WINDOW_CLAMP:
            guard number >= 0 else { throw .EINVAL }
            if number == 0, socket.role.isConnection { throw .EINVAL }
            socket.options.windowClamp = Int(number)
        case Linux.TCP_USER_TIMEOUT:
            guard number >= 0 else { throw .EINVAL }
            socket.options.userTimeout = Int(number)
        case Linux.TCP_NOTSENT_LOWAT:
            socket.options.notSentLowWater = number == -1 ? nil : Int(UInt32(bitPattern: number))
        case Linux.TCP_QUICKACK:
            socket.options.quickAcknowledgments = number != 0
            if let id = socket.connection {
                stack.acknowledgeQuickly(id, number == 0 ? 0 : KernelSettings.quickAcknowledgments, at: now)
            }
        case Linux.TCP_FASTOPEN:
            // Linux: of a socket that listens or may yet.
            guard number >= 0, socket.connection == nil else { throw .EINVAL }
            socket.options.fastOpenQueue = Int(number)
        case Linux.TCP_FASTOPEN_CONNECT:
            guard number == 0 || number == 1 else { throw .EINVAL }
            guard mayConnectFast else { throw .EOPNOTSUPP }
            guard case .none = socket.role else { throw .EINVAL }
            socket.options.fastOpenConnect = number == 1
        case Linux.TCP_INQ:
            guard number == 0 || number == 1 else { throw .EINVAL }
            socket.options.tellsQueue = number == 1
        default: throw .ENOPROTOOPT
        }
    }

    private func within(_ number: Int32, _ range: ClosedRange<Int32>) throws(Errno) -> Int32 {
        guard range.contains(number) else { throw .EINVAL }
        return number
    }
}

extension Socket.Role {
    var isConnection: Bool {
        if case .connection = self { return true }
        return false
    }
}
