import TCPScript
import Testing

@Suite("Playing scripts") struct RunnerTests {
    static let opening = """
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
        +0 bind(3, ..., ...) = 0
        +0 listen(3, 1) = 0
        +0 < S 0:0(0) win 65535 <mss 1000>
        +0 > S. 0:0(0) ack 1 <mss 1460>
        +.1 < . 1:1(0) ack 1 win 65535
        +0 accept(3, ..., ...) = 4

        """

    static func play(_ rest: String, _ configure: (inout Runner.Options) -> Void = { _ in }) -> Report {
        var options = Runner.Options()
        configure(&options)
        return Runner.run(Array((opening + rest).utf8), name: "test.pkt", options: options)
    }

    /// The failure of a script that must fail at `line` of what follows the opening.
    static func failure(_ rest: String, line: Int, _ configure: (inout Runner.Options) -> Void = { _ in }) -> Report
        .Failure?
    {
        guard case .failed(let failure) = play(rest, configure).outcome else { return nil }
        return failure.position.line == 8 + line ? failure : nil
    }

    @Test("A conversation passes over IPv4, IPv6, and IPv4 through IPv6's sockets", arguments: Family.allCases)
    func passes(family: Family) {
        let report = RunnerTests.play(
            """
            +0 write(4, ..., 3000) = 3000
            +0 > P. 1:3001(3000) ack 1
            +.1 < P. 1:501(500) ack 3001 win 65535
            +0~+.5 > . 3001:3001(0) ack 501
            +0 read(4, ..., 1000) = 500
            +0 %{ assert tcpi_state == TCP_ESTABLISHED; print tcpi_unacked }%
            +0 close(4) = 0
            +0 > F. 3001:3001(0) ack 501
            """
        ) { $0.family = family }
        #expect(report.outcome == .passed, "\(report.lines)")
        #expect(report.output == ["0"])
    }

    @Test("A segment each, or all at once: both ways to write what leaves together are understood")
    func trains() {
        for lines in ["+0 > P. 1:3001(3000) ack 1", "+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:3001(2000) ack 1"] {
            let report = RunnerTests.play("+0 write(4, ..., 3000) = 3000\n" + lines) { $0.isStrict = true }
            #expect(report.outcome == .passed, "\(report.lines)")
        }
    }

    @Test(
        "Every field that differs fails the script, at the line, with what came in the script's own notation",
        arguments: [
            ("+0 > . 1:101(100) ack 1", "the flags are P., not ."),
            ("+0 > P. 2:102(100) ack 1", "the sequence number is 1, not 2"),
            ("+0 > P. 1:100(99) ack 1", "the length is 100, not 99"),
            ("+0 > P. 1:102(101) ack 1", "the length is 100, not 101"),
            ("+0 > P. 1:101(100) ack 2", "the acknowledgment number is 1, not 2"),
            ("+0 > P. 1:101(100) ack 1 win 7", "the window is 65535, not 7"),
            ("+0 > P. 1:101(100) ack 1 urg 1", "the urgent pointer is 0, not 1"),
            ("+0 > P. 1:101(100) ack 1 <nop,nop,nop,nop>", "the options differ"),
            ("+0 > [ect0] P. 1:101(100) ack 1", "the ECN field is noecn, not ect0"),
            ("+0 > [ttl 3] P. 1:101(100) ack 1", "the time to live is 64, not 3"),
            ("+.1 > P. 1:101(100) ack 1", "the packet left at 0.1, before 0.2"),
            ("+0 > udp (100)", "another protocol was expected"),
            ("+0 > ipv4 10.0.0.1 > 10.0.0.2: P. 1:101(100) ack 1", "the packet goes from 192.168.0.1 to 192.0.2.1"),
            ("+0 > tcp (1 > 2) P. 1:101(100) ack 1", "the ports are (8080 > 49152)"),
        ])
    func fields(line: String, reason: String) {
        let failure = RunnerTests.failure("+0 write(4, ..., 100) = 100\n" + line, line: 2)
        #expect(failure?.reason == reason)
        #expect(failure?.got?.hasPrefix("0.1 > ") == true)
        #expect(
            failure?.connections.contains { $0.hasPrefix("socket 4: ESTABLISHED 192.168.0.1:8080 - 192.0.2.1:49152") }
                == true)
    }

    @Test("A packet that never comes, one that comes late, and one too many")
    func times() {
        #expect(RunnerTests.failure("+0 > . 1:1(0) ack 1", line: 1)?.reason == "no packet left by 0.104")
        let late = RunnerTests.failure(
            "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+.01 > P. 1:11(10) ack 1", line: 3)
        #expect(late?.reason.contains("after 0.11") == true, "\(late?.reason ?? "")")
        let strict = RunnerTests.failure("+0 write(4, ..., 10) = 10", line: 1) { $0.isStrict = true }
        #expect(strict?.reason == "a packet left that the script does not expect")
        #expect(strict?.got == "0.1 > P. 1:11(10) ack 1 win 65535")
        #expect(RunnerTests.play("+0 write(4, ..., 10) = 10").outcome == .passed)
        let unexpected = RunnerTests.failure(
            "+0 write(4, ..., 10) = 10\n+.1 < P. 1:11(10) ack 1 win 65535\n+0~+.5 > . 11:11(0) ack 11", line: 3)
        #expect(unexpected?.reason == "the flags are P., not .")
    }

    @Test("A result that differs, an error that differs, a value that differs")
    func results() {
        let result = RunnerTests.failure("+0 write(4, ..., 10) = 11", line: 1)
        #expect(result?.reason == "the result is 10, not 11")
        #expect(result?.got == "0.1 write(4, ..., 10) = 10")
        let errno = RunnerTests.failure("+0 read(9, ..., 10) = -1 EINVAL (x)", line: 1)
        #expect(errno?.reason == "the error is EBADF, not EINVAL")
        #expect(errno?.got == "0.1 read(9, ..., 10) = -1 EBADF")
        let option = RunnerTests.failure("+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [5], [4]) = 0", line: 1)
        #expect(option?.reason == "the option is 0, not 5")
        #expect(option?.got == "0.1 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0")
        let poll = RunnerTests.failure("+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1", line: 1)
        #expect(poll?.reason == "revents is POLLOUT")
        #expect(poll?.got == "0.1 poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1")
        let assertion = RunnerTests.failure("+0 %{ assert tcpi_state == TCP_CLOSE }%", line: 1)
        #expect(assertion?.reason == "assert tcpi_state == TCP_CLOSE does not hold: tcpi_state is 1, TCP_CLOSE is 7")
    }

    @Test("A call that blocks returns when it must: not at once, not early, not late, not never")
    func blocking() {
        let data = "+.1 < P. 1:11(10) ack 1 win 65535\n+.5 `true`"
        #expect(RunnerTests.play("+0...0.1 read(4, ..., 100) = 10\n" + data).outcome == .passed)
        #expect(RunnerTests.failure("+0 read(4, ..., 100) = 10\n" + data, line: 1)?.reason.contains("blocks") == true)
        #expect(
            RunnerTests.failure("+0...0.2 read(4, ..., 100) = 10\n" + data, line: 1)?.reason
                == "the call returned at 0.2, not at 0.3")
        #expect(
            RunnerTests.failure("+0...0.05 read(4, ..., 100) = 10\n" + data, line: 1)?.reason
                == "the call returned at 0.2, not at 0.15")
        #expect(
            RunnerTests.failure("+0...0.1 read(4, ..., 100) = 10", line: 1)?.reason == "the call still blocks at 0.204")
        #expect(
            RunnerTests.failure("+0...0.1 read(4, ..., 100) = 9\n" + data, line: 1)?.reason == "the result is 10, not 9"
        )
    }

    @Test("What is not here skips a script, and says what it was and where")
    func skips() {
        let scripts = [
            "+0 `sysctl -q net.ipv4.tcp_sack=0`": "changes a figure of a stack that runs",
            "+0 `reboot`": "has nothing to act on here", "+0 fork() = 0": "the system call fork is not here",
            "+0 %{ assert tcpi_nonsense == 0 }%": "'tcpi_nonsense' has no value here",
            "+0 < mpls (label 1): . 1:1(0) ack 1": "within other headers",
            "+0 setsockopt(4, SOL_TCP, TCP_NONSENSE, [1], 4) = 0": "the constant TCP_NONSENSE is not known",
        ]
        for (line, reason) in scripts {
            guard case .skipped(let why, let position) = RunnerTests.play(line).outcome else {
                Issue.record("\(line) was not skipped")
                continue
            }
            #expect(why.contains(reason), "\(line): \(why)")
            #expect(position?.line == 9)
        }
        let unknown = Runner.run(Array("--flavor=vanilla\n\(RunnerTests.opening)".utf8), name: "test.pkt")
        #expect(
            unknown.outcome
                == .skipped("the option --flavor is not known", at: SourcePosition(line: 1, column: 1)))
    }

    @Test("Commands in front change the stack, whatever their form")
    func settings() {
        for command in [
            "`sysctl -q net.ipv4.tcp_timestamps=0`", "0 `sysctl -w net.ipv4.tcp_timestamps=0`",
            "`../common/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0`",
            "`ip tcp_metrics flush all; sysctl net.ipv4.tcp_timestamps=0`",
        ] {
            let script = """
                \(command)
                +0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
                +0...0 connect(3, ..., ...) = 0
                +0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>
                +0 < S. 0:0(0) ack 1 win 65535 <mss 1460>
                +0 > . 1:1(0) ack 1
                """
            let report = Runner.run(Array(script.utf8), name: "test.pkt")
            #expect(report.outcome == .passed, "\(report.lines)")
        }
    }

    @Test("Timestamps: the script's figures stand for the stack's, and are echoed as those")
    func timestamps() {
        let script = """
            --tcp_ts_tick_usecs=1000
            0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
            +0 bind(3, ..., ...) = 0
            +0 listen(3, 1) = 0
            +0 < S 0:0(0) win 65535 <mss 1000,nop,nop,TS val 700 ecr 0>
            +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 100 ecr 700>
            +.1 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 800 ecr 100>
            +0 accept(3, ..., ...) = 4
            +1 write(4, ..., 10) = 10
            +0 > P. 1:11(10) ack 1 <nop,nop,TS val 1200 ecr 800>
            """
        let report = Runner.run(Array(script.utf8), name: "test.pkt")
        #expect(report.outcome == .passed, "\(report.lines)")
        let wrong = script.split(separator: "\n").map {
            $0.hasPrefix("+0 > P.") ? "+0 > P. 1:11(10) ack 1 <nop,nop,TS val 1300 ecr 800>" : String($0)
        }
        guard
            case .failed(let failure) = Runner.run(Array(wrong.joined(separator: "\n").utf8), name: "test.pkt").outcome
        else {
            Issue.record("a timestamp 100 ms off was taken")
            return
        }
        #expect(failure.reason == "the timestamp is 1200, not 1300")
    }

    @Test("Several connections in one script are told apart by their ports")
    func ports() {
        let script = """
            0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
            +0 bind(3, ..., ...) = 0
            +0 listen(3, 5) = 0
            +0 < tcp (1001 > 8080) S 0:0(0) win 65535 <mss 1000>
            +0 > tcp (8080 > 1001) S. 0:0(0) ack 1 <...>
            +0 < tcp (1002 > 8080) S 500:500(0) win 65535 <mss 1000>
            +0 > tcp (8080 > 1002) S. 0:0(0) ack 501 <...>
            +0 < tcp (1002 > 8080) . 501:501(0) ack 1 win 65535
            +0 < tcp (1001 > 8080) . 1:1(0) ack 1 win 65535
            +0 accept(3, ..., ...) = 4
            +0 accept(3, ..., ...) = 5
            +0 write(5, ..., 5) = 5
            +0 > tcp (8080 > 1001) P. 1:6(5) ack 1
            +0 write(4, ..., 5) = 5
            +0 > tcp (8080 > 1002) P. 1:6(5) ack 501
            """
        let report = Runner.run(Array(script.utf8), name: "test.pkt")
        #expect(report.outcome == .passed, "\(report.lines)")
    }
}
