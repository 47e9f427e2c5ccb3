"""The fits of a study: the same network, steps, rates and stopping rule for every objective.

Epoch and learning rate are chosen by the exact likelihood of held-out blocks for all objectives,
and the weights of LD-score regression know the true mean of f. If either helps one side, it is
LD-score regression.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import NumericalError
from tfgen.prior.constant_fit import LEAST_START, constant_of_blocks, fit_constant
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.heads.head_config import HeadConfig, TraitScale
from tfgen.prior.heads.prior_model import PriorModel, build_prior
from tfgen.prior.heads.standardise import Standardiser
from tfgen.prior.study.study_config import Setting, StudyConfig
from tfgen.prior.study.study_data import StudyData, StudyPanel, draw
from tfgen.prior.study.study_records import FitKey, FitRecord, Records, Reference, keys
from tfgen.prior.training.block_data import BlockData
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.objectives import LDSR_HERITABILITY

_NO_NOISE_FITTED = [0.0]  # log sigma: the noise of the simulation is 1 and known


class StudyRuns:
    """Makes the fits of data sets; graphs are traced once and used for all of them.

    Args:
        panel: The LD.
        config: The settings.
        records: Where finished fits go.
    """

    def __init__(self, panel: StudyPanel, config: StudyConfig, records: Records) -> None:
        self._panel, self._config, self._records = panel, config, records
        self._fits: dict[tuple[str, str, tuple[float, ...]], tuple[Fit, PriorModel]] = {}

    def run(
        self,
        setting: Setting,
        on_fit: Callable[[], None] = lambda: None,
        between_steps: Callable[[], None] = lambda: None,
    ) -> None:
        """Makes the fits to one data set that are not done yet.

        Args:
            setting: The data set.
            on_fit: Called after every fit.
            between_steps: Called after every update; may raise to stop.

        Raises:
            OutputError: A record cannot be written.
        """
        left = [key for key in keys(self._config, setting) if not self._records.has(key)]
        if not left and self._records.has_reference(setting):
            return
        data = draw(self._panel, self._config, setting)
        if not self._records.has_reference(setting):
            self._records.save_reference(setting, self.reference(data))
        for key in left:
            self._records.save(key, self.fit(key, data, between_steps))
            on_fit()

    def reference(self, data: StudyData) -> Reference:
        """The best constant, and the truth."""
        fold = self._panel.fold
        learned = [data.spectra[i] for i in (*fold.training, *fold.held_out)]
        constant = fit_constant(learned, sigma=1.0)
        by_id = {data.blocks.sizes[i].id: logf for i, logf in enumerate(data.logf)}
        oracle = score_blocks(
            data.blocks, fold.test, lambda block: by_id[block.id][:, None], _NO_NOISE_FITTED
        )
        return Reference(
            constant_f=constant.f,
            constant_nll=sum(data.spectra[i].nll(constant.f, 1.0) for i in fold.test),
            oracle_nll=float(oracle.nll.sum()),
            n_test=int(oracle.n_observed.sum()),
            mean_chisq=data.mean_chisq,
        )

    def fit(
        self, key: FitKey, data: StudyData, between_steps: Callable[[], None] = lambda: None
    ) -> FitRecord:
        """Fits one prior and scores it on the test blocks.

        Args:
            key: Which fit.
            data: Its data set.
            between_steps: As in `run`.
        """
        fit, model = self._start(key, data)
        try:
            result = fit.run(between_steps=between_steps)
            scores = score_blocks(
                data.blocks,
                self._panel.fold.test,
                lambda block: _log_f(fit, block),
                _NO_NOISE_FITTED,
            )
        except NumericalError:
            return FitRecord(fit.state.best_epoch, fit.state.epoch, math.inf, math.inf)
        return FitRecord(
            result.best_epoch, len(result.records), result.best_held_out, float(scores.nll.sum())
        )

    def _start(self, key: FitKey, data: StudyData) -> tuple[Fit, PriorModel]:
        """A fit that has not begun, with the graphs of a former one where there is one."""
        config, fold = self._config, self._panel.fold
        options = FitOptions(
            objective="ldsr" if key.objective == "ldsr" else "mll",
            solver="chol",
            epochs=config.epochs,
            blocks_per_step=config.blocks_per_step,
            learning_rate=key.rate,
            patience=config.patience,
            seed=key.setting.seed,
        )
        # (N / M) h is the mean of f that the weights suppose.
        n_over_m = (key.setting.mean_f / LDSR_HERITABILITY if key.objective == "ldsr" else 1.0,)
        source = data.blocks_with_ld if key.objective == "ldsr" else data.blocks
        fit_data = FitData(source, fold.training, fold.held_out, n_over_m)
        model = self._model(key, data)
        graphs = (key.arch, key.objective, n_over_m)
        if graphs not in self._fits:
            log_sigma = tf.Variable(np.array(_NO_NOISE_FITTED, np.float32))
            self._fits[graphs] = Fit(model, log_sigma, fit_data, options), model
            return self._fits[graphs]
        fit, former = self._fits[graphs]
        for variable, start in zip(former.weights, model.weights, strict=True):
            variable.assign(start)
        fit.reset(fit_data, options)
        return fit, former

    def _model(self, key: FitKey, data: StudyData) -> PriorModel:
        """The starting point, the same for all objectives and rates."""
        head = HeadConfig(
            arch="mlp" if key.arch == "mlp" else "linear",
            hidden=self._config.hidden,
            freq_mode="off",
        )
        # The annotations are drawn standard normal.
        standardiser = Standardiser.identity(data.shape)
        traits = [TraitScale("simulated", 1.0, 1.0)]
        model = build_prior(head, data.shape, traits, standardiser, key.setting.seed)
        constant = constant_of_blocks(data.blocks, self._panel.fold.training, sigma=1.0)
        model.set_start(max(constant.f, LEAST_START))
        return model


def _log_f(fit: Fit, block: BlockData) -> npt.NDArray[np.float64]:
    return np.asarray(fit.step.log_f(block.inputs()).numpy(), np.float64)
