internal import TCPEngine
internal import TCPSockets
internal import TCPWire

/// Whose figures a script counts on where it does not set them: its `defaults.sh` was written for one system.
public enum Platform: String, CaseIterable, Sendable {
    /// Linux, with the figures of packetdrill's own tests.
    case linux
    /// FreeBSD.
    case freebsd
    /// No system in particular: acknowledgments are delayed as RFC 5681 §4.2 says, from the first segment on.
    case rfc

    /// The platform a script was written for. One that names an RFC as its first words was written for none; FreeBSD's are kept
    /// in a folder `freebsd` or `bsd`, or set `net.inet.*`; all others are Linux's.
    public static func guess(for script: Script) -> Platform {
        if script.heading.hasPrefix("RFC ") { return .rfc }
        let folders = script.name.split(separator: "/").dropLast()
        if folders.contains(where: { $0 == "freebsd" || $0 == "bsd" }) { return .freebsd }
        let commands =
            script.setUp
            + script.events.compactMap { if case .command(let command) = $0.action { command } else { nil } }
        return commands.contains { $0.text.hasPrefix("kldload") || $0.text.contains(" net.inet.") } ? .freebsd : .linux
    }
}

/// The version of IP a script is played over.
public enum Family: String, CaseIterable, Sendable {
    /// IPv4.
    case ipv4
    /// IPv6.
    case ipv6
    /// IPv4 through sockets of IPv6.
    case mapped = "ipv4-mapped-ipv6"
}

/// What a script is run in: the figures of its `--name=value` lines and of the commands before its first event.
struct Environment {
    /// Why a script is not run.
    struct Unavailable: Error {
        var reason: String
        var position: SourcePosition
    }

    let platform: Platform
    var settings: KernelSettings
    var family = Family.ipv4
    /// How far a time may be off, in nanoseconds.
    var tolerance: Int64 = 4_000_000
    /// How far a time may be off, in hundredths of the time since the event before.
    var tolerancePercent = 3.0
    /// Nanoseconds a tick of the timestamp clock takes; zero does not compare timestamps.
    var timestampTick: Int64 = 0
    var localPort: UInt16 = 8080
    var remotePort: UInt16 = 8080
    var local4 = IPAddress(ipv4: 0xC0A8_0001)
    var remote4 = IPAddress(ipv4: 0xC000_0201)
    var local6 = IPAddress(high: 0xFD3D_0A0B_17D6_0000, low: 1)
    var remote6 = IPAddress(high: 0xFD3D_FA7B_D17D_0000, low: 1)

    /// Reads the lines and commands of a script.
    init(_ script: Script, platform: Platform, family: Family? = nil) throws(Unavailable) {
        settings = KernelSettings()
        self.family = family ?? .ipv4
        if family == .ipv6, !script.options.contains(where: { $0.name == "ip_version" }) { settings.mtu = 1520 }
        self.platform = platform
        switch platform {
        case .linux, .rfc:
            settings.flavour = .linux
            // tcp_rmem of packetdrill's defaults: 15,728,640 octets at most, which takes a shift of 8.
            settings.windowScale = 8
            settings.acknowledgmentPolicy = platform == .linux ? .linux : .rfc
            // As packetdrill's own tests set it.
            settings.fastOpen = 3
            settings.fastOpenKey = KernelSettings.fastOpenTestKey
            settings.delayedAcknowledgment = .milliseconds(40)
            settings.minimumRTO = .milliseconds(200)
            settings.congestionControl = platform == .linux ? .cubic : .newReno
        case .freebsd:
            settings.flavour = .freeBSD
            // net.inet.tcp.recvspace, and the shift for a buffer of 2 MiB.
            settings.receiveBuffer = 65_536
            settings.windowScale = 6
            settings.delayedAcknowledgment = .milliseconds(40)
            settings.minimumRTO = .milliseconds(230)
            settings.keepAliveProbes = 8
            settings.tailLossProbes = false
        }
        for option in script.options { try apply(option) }
        for command in script.setUp { try apply(command) }
        settings.addresses = [AddressPrefix(local4, length: 16), AddressPrefix(local6, length: 64)]
    }

    var local: IPAddress { family == .ipv6 ? local6 : local4 }
    var remote: IPAddress { family == .ipv6 ? remote6 : remote4 }

    // MARK: Lines

    private mutating func apply(_ option: ScriptOption) throws(Unavailable) {
        let value = option.value
        func wrong(_ what: String) -> Unavailable {
            Unavailable(reason: "--\(option.name) needs \(what), not '\(value)'", position: option.position)
        }
        func number(_ range: ClosedRange<Int>) throws(Unavailable) -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw wrong("a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        func address(isIPv4: Bool) throws(Unavailable) -> IPAddress {
            guard let address = IPAddress(value), address.isIPv4 == isIPv4 else {
                throw wrong("an \(isIPv4 ? "IPv4" : "IPv6") address")
            }
            return address
        }
        switch option.name {
        case "ip_version":
            guard let known = Family(rawValue: value) else { throw wrong("ipv4, ipv6 or ipv4-mapped-ipv6") }
            family = known
        case "tolerance_usecs": tolerance = Int64(try number(0...1_000_000_000)) * 1000
        case "tolerance_percent":
            guard let percent = Double(value), (0...100).contains(percent) else {
                throw wrong("a number from 0 to 100")
            }
            tolerancePercent = percent
        case "tcp_ts_tick_usecs": timestampTick = Int64(try number(0...1_000_000)) * 1000
        case "bind_port": localPort = UInt16(try number(1...65_535))
        case "connect_port": remotePort = UInt16(try number(1...65_535))
        case "mtu": settings.mtu = try number(68...65_535)
        case "mss", "speed", "netmask_ip", "gateway_ip", "non_fatal", "init_scripts", "persistent_tun_dev", "tun_dev",
            "dry_run", "verbose", "debug", "local_linklocal_ip", "wire_client", "wire_server", "nonfatal":
            // Of the interface or of the tool that reads the script: without effect on a TCP without either.
            break
        case "local_ip":
            if family == .ipv6 { local6 = try address(isIPv4: false) } else { local4 = try address(isIPv4: true) }
        case "remote_ip":
            if family == .ipv6 { remote6 = try address(isIPv4: false) } else { remote4 = try address(isIPv4: true) }
        case "local_ipv4": local4 = try address(isIPv4: true)
        case "remote_ipv4": remote4 = try address(isIPv4: true)
        case "local_ipv6": local6 = try address(isIPv4: false)
        case "remote_ipv6": remote6 = try address(isIPv4: false)
        default:
            throw Unavailable(reason: "the option --\(option.name) is not known", position: option.position)
        }
    }

    // MARK: Commands

    /// Carries out a command of the shell as far as it sets a figure that is known, or has no effect here.
    mutating func apply(_ command: ScriptCommand) throws(Unavailable) {
        for line in command.text.split(whereSeparator: { "\n;&".contains($0) }) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let name = words.first else { continue }
            try apply(name, Array(words.dropFirst()), command)
        }
    }

    private mutating func apply(
        _ name: String, _ arguments: [String], _ command: ScriptCommand
    ) throws(Unavailable) {
        let program = name.split(separator: "/").last.map(String.init) ?? name
        switch program {
        case "true", ":", "echo", "sync", "defaults.sh", "nstat", "kldload", "kldunload", "tcp_metrics":
            // Defaults are what this environment starts with; the rest has no effect on a TCP.
            if program == "kldload" || program == "kldunload", arguments != ["cc_newreno"] { break }
            return
        case "sysctl", "set_sysctls.py":
            for argument in arguments where !argument.hasPrefix("-") { try set(argument, command) }
            return
        case "ip":
            if arguments.first == "tcp_metrics" { return }
            if arguments.starts(with: ["link", "set"]), let index = arguments.firstIndex(of: "mtu"),
                index + 1 < arguments.count, let mtu = Int(arguments[index + 1]), (68...65_535).contains(mtu)
            {
                settings.mtu = mtu
                return
            }
        case "ifconfig":
            if let index = arguments.firstIndex(of: "mtu"), index + 1 < arguments.count,
                let mtu = Int(arguments[index + 1]), (68...65_535).contains(mtu)
            {
                settings.mtu = mtu
                return
            }
        default: break
        }
        throw Unavailable(
            reason: "the command '\(command.text)' has nothing to act on here", position: command.position)
    }

    /// `net.ipv4.tcp_sack=0`, or `/proc/sys/net/ipv4/tcp_sack=0`.
    private mutating func set(_ assignment: String, _ command: ScriptCommand) throws(Unavailable) {
        let parts = assignment.split(separator: "=", maxSplits: 1).map(String.init)
        func unknown() -> Unavailable {
            Unavailable(reason: "sysctl '\(assignment)' has no equivalent here", position: command.position)
        }
        guard parts.count == 2 else { throw unknown() }
        var name = parts[0]
        if name.hasPrefix("/proc/sys/") {
            name = name.dropFirst("/proc/sys/".count).split(separator: "/").joined(separator: ".")
        }
        let value = parts[1].filter { $0 != "\"" && $0 != "'" }
        if name == "net.ipv4.tcp_fastopen_key", let key = Environment.key(value) {
            settings.fastOpenKey = key
            return
        }
        if name == "net.ipv4.tcp_congestion_control" {
            guard let control = CongestionControl(linuxName: value) else { throw unknown() }
            settings.congestionControl = control
            return
        }
        guard let number = Environment.number(value.split(separator: " ").last ?? "") else { throw unknown() }
        guard set(name, number) else { throw unknown() }
    }

    private static func number(_ text: Substring) -> Int? {
        text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    }

    /// Linux's way to write a key of Fast Open: four words of 32 bits, each of which stands in memory with its last octet first.
    private static func key(_ text: String) -> [UInt8]? {
        let words = text.split(separator: "-").compactMap { UInt32($0, radix: 16) }
        guard words.count == 4 else { return nil }
        return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    }

    private mutating func set(_ name: String, _ number: Int) -> Bool {
        switch name {
        case "net.ipv4.tcp_sack", "net.inet.tcp.sack.enable": settings.selectiveAcknowledgment = number != 0
        case "net.ipv4.tcp_timestamps": settings.timestamps = number != 0
        case "net.ipv4.tcp_window_scaling": settings.windowScaling = number != 0
        case "net.inet.tcp.rfc1323":
            settings.timestamps = number & 1 != 0
            settings.windowScaling = number & 1 != 0
        case "net.ipv4.tcp_synack_retries", "net.inet.tcp.syncache.rexmtlimit": settings.synAckRetries = number
        case "net.ipv4.tcp_keepalive_time": settings.keepAliveIdle = .seconds(number)
        case "net.inet.tcp.keepidle": settings.keepAliveIdle = .milliseconds(number)
        case "net.ipv4.tcp_keepalive_intvl": settings.keepAliveInterval = .seconds(number)
        case "net.inet.tcp.keepintvl": settings.keepAliveInterval = .milliseconds(number)
        case "net.ipv4.tcp_keepalive_probes", "net.inet.tcp.keepcnt": settings.keepAliveProbes = number
        case "net.ipv4.tcp_fin_timeout": settings.finWait2Timeout = .seconds(number)
        case "net.inet.tcp.msl": settings.maximumSegmentLifetime = .milliseconds(number)
        case "net.inet.tcp.initcwnd_segments", "net.ipv4.tcp_init_cwnd": settings.initialWindow = number
        case "net.inet.tcp.rexmit_min": settings.minimumRTO = .milliseconds(number)
        case "net.ipv4.tcp_rto_min_us": settings.minimumRTO = .microseconds(number)
        case "net.ipv4.tcp_rto_max_ms": settings.maximumRTO = .milliseconds(number)
        case "net.inet.tcp.rexmit_initial": settings.initialRTO = .milliseconds(number)
        case "net.inet.tcp.delacktime": settings.delayedAcknowledgment = .milliseconds(number)
        case "net.inet.tcp.recvspace": settings.receiveBuffer = number
        case "net.inet.tcp.sendspace": settings.sendBuffer = number
        case "net.ipv4.tcp_mtu_probing": settings.mtuProbing = number
        case "net.inet.tcp.pmtud_blackhole_detection": settings.mtuProbing = number == 0 ? 0 : 1
        case "net.ipv4.tcp_base_mss", "net.inet.tcp.pmtud_blackhole_mss": settings.baseSegmentSize = number
        case "net.ipv4.tcp_frto": settings.forwardRTO = number != 0
        case "net.ipv4.tcp_dsack": settings.duplicateReports = number != 0
        case "net.ipv4.tcp_early_retrans":
            // 1 and 2 were of RFC 5827, which Linux no longer has.
            guard number == 0 || number == 3 else { return false }
            settings.tailLossProbes = number == 3
        case "net.ipv4.ip_default_ttl", "net.inet.ip.ttl": settings.hopLimit = UInt8(clamping: number)
        // What this stack always does, or never.
        case "net.ipv4.tcp_fastopen":
            // Without cookies, 4 and 0x200, nobody opens here.
            guard number & 0x204 == 0 else { return false }
            settings.fastOpen = number
        case "net.inet.tcp.fastopen.server_enable":
            settings.fastOpen = settings.fastOpen & ~2 | (number == 0 ? 0 : 2)
        case "net.ipv4.tcp_ecn":
            guard (0...5).contains(number) else { return false }
            settings.explicitCongestionNotification = number
        case "net.inet.tcp.ecn.enable":
            guard (0...4).contains(number) else { return false }
            settings.explicitCongestionNotification = number == 4 ? 5 : number
        case "net.ipv4.tcp_syncookies", "net.ipv4.tcp_min_tso_segs", "net.inet.tcp.insecure_rst",
            "net.inet.tcp.insecure_syn", "net.ipv4.tcp_abc", "net.ipv4.tcp_fack":
            return Environment.habits[name] == (number != 0)
        // RACK without its variants; the figure DupThresh starts from (RFC 6675 §2).
        case "net.ipv4.tcp_recovery": return number == 1
        case "net.ipv4.tcp_reordering": return number == 3
        // Of other parts of a kernel.
        case "net.ipv4.tcp_no_metrics_save", "net.ipv4.tcp_metrics_save", "net.ipv4.tcp_slow_start_after_idle",
            "net.core.netdev_max_backlog", "kern.timecounter.alloweddeviation", "net.inet.tcp.hostcache.purgenow":
            break
        default: return false
        }
        return true
    }

    /// Switches of other systems for what this stack has no switch for.
    private static let habits = [
        "net.ipv4.tcp_syncookies": true,
        "net.ipv4.tcp_min_tso_segs": true,
        "net.inet.tcp.insecure_rst": false, "net.inet.tcp.insecure_syn": false,
        "net.ipv4.tcp_abc": true, "net.ipv4.tcp_fack": false,
    ]
}
