package io.github.vfio4j.conformance.report;

import io.github.vfio4j.conformance.report.RunDescription.Device;
import io.github.vfio4j.feature.FeatureId;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/** The answers of each device by feature, and by operation on each kernel. */
final class Matrix {

    /** Those that no kernel has are asked at random: they are shown as one. */
    private static final int UNKNOWN = FeatureId.known().size();

    private static final List<String> OPERATIONS = List.of("PROBE", "PROBE|GET", "PROBE|SET", "PROBE|GET|SET", "GET",
            "SET", "GET|SET", "none");

    /** What is to be said of the answers in a cell. */
    enum State {
        /** A property has failed on it. */
        FAILED,
        /** It was found, or carried out. */
        YES,
        /** It was refused whenever it was asked. */
        NO,
        /** It was not asked. */
        NOT_ASKED
    }

    /** The answers to one question. */
    record Cell(State state, Map<String, Integer> answers) {
    }

    private final Map<Question, Map<String, Integer>> answers = new HashMap<>();
    private final Map<String, SortedSet<String>> kernels = new LinkedHashMap<>();
    private final SortedSet<String> operations = new TreeSet<>(
            Comparator.comparingInt((String operation) -> OPERATIONS.indexOf(operation))
                    .thenComparing(Comparator.naturalOrder()));
    private final List<Failure> failures;

    /** The devices and kernels stand as in the list; what is not in it, behind. */
    Matrix(Evidence evidence, List<Device> devices) {
        failures = evidence.failures();
        Map<Question, Map<String, Integer>> all = evidence.answers();
        Comparator<String> order = Comparator
                .comparingInt((String kernel) -> placeOf(kernel, devices.stream().map(Device::kernel).toList()))
                .thenComparing(Comparator.naturalOrder());
        List<String> names = devices.stream().map(Device::name).toList();
        all.keySet().stream().map(Question::target).distinct()
                .sorted(Comparator.comparingInt((String name) -> placeOf(name, names)))
                .forEach(name -> kernels.put(name, new TreeSet<>(order)));
        all.forEach((question, counts) -> {
            kernels.computeIfAbsent(question.target(), name -> new TreeSet<>(order)).add(question.kernel());
            operations.add(question.operation());
            Map<String, Integer> cell = answers.computeIfAbsent(folded(question), key -> new TreeMap<>());
            counts.forEach((answer, count) -> cell.merge(answer, count, Integer::sum));
        });
    }

    private static int placeOf(String text, List<String> texts) {
        int place = texts.indexOf(text);
        return place < 0 ? texts.size() : place;
    }

    private static Question folded(Question question) {
        return new Question(question.target(), question.kernel(), Math.min(question.feature(), UNKNOWN),
                question.operation());
    }

    static String featureName(int feature) {
        return feature < UNKNOWN ? FeatureId.of(feature).name() : "unknown features";
    }

    static String featureNumber(int feature) {
        return feature < UNKNOWN ? Integer.toString(feature) : UNKNOWN + " and more";
    }

    /** The devices that were asked. */
    List<String> targets() {
        return List.copyOf(kernels.keySet());
    }

    /** The kernels on which a device was asked. */
    List<String> kernels(String target) {
        SortedSet<String> of = kernels.get(target);
        return of == null ? List.of() : List.copyOf(of);
    }

    /** The features that a device was asked for, on any kernel. */
    List<Integer> features(String target) {
        return answers.keySet().stream().filter(question -> question.target().equals(target)).map(Question::feature)
                .distinct().sorted().toList();
    }

    /** What any device was asked to do. */
    List<String> operations() {
        return List.copyOf(operations);
    }

    Cell cell(Question question) {
        Map<String, Integer> counts = answers.getOrDefault(question, Map.of());
        return new Cell(state(question, counts), counts);
    }

    private State state(Question question, Map<String, Integer> counts) {
        if (failures.stream().anyMatch(failure -> isOf(failure, question))) {
            return State.FAILED;
        }
        if (counts.isEmpty()) {
            return State.NOT_ASKED;
        }
        return counts.keySet().stream().anyMatch(Matrix::isSuccess) ? State.YES : State.NO;
    }

    /** A failure for which no operation is known is that of the whole feature. */
    private static boolean isOf(Failure failure, Question question) {
        return failure.feature() != null && Math.min(failure.feature(), UNKNOWN) == question.feature()
                && (failure.operation() == null || failure.operation().equals(question.operation()))
                && failure.kernel().equals(question.kernel()) && failure.target().equals(question.target());
    }

    /** Everything else is an errno. */
    private static boolean isSuccess(String answer) {
        return answer.equals("0") || answer.equals("carried out");
    }

    /** Whether a device has answered so to anything it was asked of a feature. */
    boolean has(String target, String kernel, int feature) {
        return operations.stream().map(operation -> cell(new Question(target, kernel, feature, operation)))
                .anyMatch(cell -> cell.answers().keySet().stream().anyMatch(Matrix::isSuccess));
    }

    /** All answers of a device. */
    Map<String, Integer> answers(String target, String kernel) {
        Map<String, Integer> sums = new TreeMap<>();
        answers.forEach((question, counts) -> {
            if (question.target().equals(target) && question.kernel().equals(kernel)) {
                counts.forEach((answer, count) -> sums.merge(answer, count, Integer::sum));
            }
        });
        return sums;
    }
}
